// Views that are loaded when first shown (Preact's `compat` would be ten times this).
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

export function lazy(load: () => Promise<{ default: ComponentType }>): ComponentType {
  let ready: ComponentType | null = null;
  return function Lazy() {
    const [view, setView] = useState<{ shown: ComponentType | null }>({ shown: ready });
    useEffect(() => {
      if (ready) return;
      void load().then((module) => {
        ready = module.default;
        setView({ shown: ready });
      });
    }, []);
    const View = view.shown;
    return View ? <View /> : <p class="page">Loading …</p>;
  };
}

// Views that are loaded when first shown (Preact's `compat` would be ten times this).
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { IconButton, Notice } from "./parts";

export function lazy(load: () => Promise<{ default: ComponentType }>): ComponentType {
  let ready: ComponentType | null = null;
  return function Lazy() {
    const [view, setView] = useState<{ shown: ComponentType | null }>({ shown: ready });
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (ready) return;
      load().then(
        (module) => {
          ready = module.default;
          setView({ shown: ready });
        },
        () => setFailed(true),
      );
    }, []);
    const View = view.shown;
    if (View) return <View />;
    if (!failed) return <p class="page">Loading …</p>;
    return (
      <section class="page">
        <Notice bad title="This view could not be loaded" hint="The server is gone, or was renewed since this page was opened.">
          <IconButton icon="loop" label="Reload the page" text="Reload the page" onClick={() => location.reload()} />
        </Notice>
      </section>
    );
  };
}

// The page as a whole: head, view, player, collection, dialogs.
import { lazy } from "./lazy";
import { useEffect, useState } from "preact/hooks";
import { unreachable } from "../api/client";
import type { Ability } from "../api/types";
import { EMPTY, type View } from "../lib/address";
import { can, crateOpen, help, library, libraryError, loadLibrary, nextTheme } from "../state/app";
import { askWithFirst } from "../state/clips";
import { crate } from "../state/crate";
import { go, route } from "../state/route";
import { listed, selected } from "../state/search";
import { SearchView } from "../views/Search";
import { Crate } from "./Crate";
import { Dock } from "./Dock";
import { Help, TokenDialog } from "./Help";
import { Icon } from "./icons";
import { IconButton, Messages, Notice } from "./parts";
import { RecordDialog } from "./RecordDialog";
import { SearchBox } from "./SearchBox";

const views: Record<Exclude<View, "search">, ReturnType<typeof lazy>> = {
  map: lazy(() => import("../views/Map")),
  playlist: lazy(() => import("../views/Playlist")),
  duplicates: lazy(() => import("../views/Duplicates")),
  library: lazy(() => import("../views/Library")),
};

const TABS: { view: View; name: string; needs?: Ability }[] = [
  { view: "search", name: "Search" },
  { view: "map", name: "Map" },
  { view: "playlist", name: "Playlist", needs: "playlist" },
  { view: "duplicates", name: "Duplicates", needs: "duplicates" },
  { view: "library", name: "Library" },
];

function Head() {
  const gathered = crate.value.length;
  return (
    <header class="head">
      <a
        class="brand"
        href="/"
        aria-label="earmark: all sounds"
        onClick={(event) => {
          event.preventDefault();
          go({ ...EMPTY });
        }}
      >
        <img src="/assets/icon.svg" alt="" width="28" height="28" />
        <span>earmark</span>
      </a>
      <SearchBox />
      <nav class="tabs" aria-label="Views">
        {TABS.filter(({ needs }) => !needs || can(needs)).map(({ view, name }) => (
          <a
            key={view}
            href={view === "search" ? "/" : `/?view=${view}`}
            aria-current={route.value.view === view ? "page" : undefined}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              go({ ...EMPTY, view });
            }}
          >
            {name}
          </a>
        ))}
      </nav>
      <div class="tools">
        <button type="button" class="button bare" aria-expanded={crateOpen.value} aria-keyshortcuts="b" title="Collection (b)" onClick={() => (crateOpen.value = !crateOpen.value)}>
          <Icon name="crate" />
          <span class="hidden">Collection, </span>
          <span class="n">{gathered}</span>
        </button>
        <IconButton icon="sun" label="Light or dark" shortcut="t" onClick={nextTheme} />
        <IconButton icon="help" label="Keys and help" shortcut="?" onClick={() => (help.value = true)} />
      </div>
      {unreachable.value && library.value && (
        <p class="offline" role="alert">
          The server cannot be reached. What is here stays; it is looked for again by itself.
        </p>
      )}
    </header>
  );
}

/** A file may be dropped anywhere, or pasted. */
function useDrop(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const ended = new AbortController();
    const on = <K extends keyof WindowEventMap>(name: K, run: (event: WindowEventMap[K]) => void) =>
      addEventListener(name, run, { signal: ended.signal });
    const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    on("dragover", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      setOver(true);
    });
    on("dragleave", (event) => {
      if (event.relatedTarget === null) setOver(false);
    });
    on("drop", (event) => {
      setOver(false);
      if (!files(event)) return;
      event.preventDefault();
      askWithFirst(event.dataTransfer!.files);
    });
    on("paste", (event) => {
      if (event.clipboardData?.files.length) askWithFirst(event.clipboardData.files);
    });
    return () => ended.abort();
  }, []);
  return over;
}

export function App() {
  const over = useDrop();
  const { view } = route.value;
  useEffect(() => {
    const what = route.value.text || TABS.find((tab) => tab.view === view)?.name;
    document.title = `${what ? `${what} · ` : ""}${library.value?.name ?? "earmark"}`;
  }, [route.value, library.value]);
  useEffect(() => {
    selected.value = -1;
    if (view !== "search" && view !== "playlist") listed.value = [];
  }, [view]);
  const Other = view === "search" ? null : views[view];
  const failed = libraryError.value;
  return (
    <>
      <a class="skip" href="#main">
        To the answers
      </a>
      <Head />
      <main id="main" tabIndex={-1}>
        {failed && !library.value && failed.status !== 401 && (
          <Notice bad title={failed.message} hint={failed.hint}>
            <IconButton icon="loop" label="Try again" text="Try again" onClick={() => void loadLibrary()} />
          </Notice>
        )}
        {Other ? <Other key={view} /> : <SearchView />}
      </main>
      <Crate />
      <Dock />
      <Messages />
      <Help />
      <TokenDialog />
      <RecordDialog />
      {over && (
        <div class="drop" aria-hidden="true">
          Drop it: what sounds like this?
        </div>
      )}
    </>
  );
}

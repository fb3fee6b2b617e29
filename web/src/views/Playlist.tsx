// A path through the library from one sound to another.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { Hit } from "../api/types";
import { count, titleOf, whence } from "../lib/format";
import { complain } from "../state/app";
import { crate, exportTracks, gather } from "../state/crate";
import { current, playAll } from "../state/player";
import { go, route } from "../state/route";
import { listed, selected } from "../state/search";
import { IconButton, Notice } from "../ui/parts";
import { Row } from "../ui/Row";

const list = signal<Hit[] | null>(null);
const failure = signal<ApiError | null>(null);

/** What is offered before anything is typed: what plays, and the collection. */
function atHand(): Hit[] {
  const hits = [...(current.peek() ? [current.peek()!.hit] : []), ...crate.peek()];
  return hits.filter((hit, i) => hits.findIndex(({ track }) => track === hit.track) === i).slice(0, 8);
}

function usePick(id: string): [string, (text: string) => void, Hit[]] {
  const [text, setText] = useState("");
  const [offers, setOffers] = useState<Hit[]>([]);
  const asking = useRef<AbortController>(undefined);
  useEffect(() => {
    if (!id) return setText("");
    api.track(id).then((sound) => setText(titleOf(sound)), complain);
  }, [id]);
  const search = (typed: string) => {
    setText(typed);
    if (typed.trim().length < 2) return setOffers(atHand());
    asking.current?.abort();
    asking.current = new AbortController();
    const query = { text: typed, by: "metadata", k: 8 };
    api.answer("search", { query, signal: asking.current.signal }).then(({ hits }) => setOffers(hits), complain);
  };
  return [text, search, offers];
}

interface PickProps {
  label: string;
  id: string;
  onPick: (id: string) => void;
}

/** Choose a sound by typing a part of its name (a combobox with a list). */
function Pick({ label, id, onPick }: PickProps) {
  const [text, search, offers] = usePick(id);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const name = useId();
  const choose = (hit: Hit | undefined) => {
    if (!hit) return;
    onPick(hit.track);
    setOpen(false);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(offers.length - 1, at + 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, at - 1));
    else if (event.key === "Enter" && open) choose(offers[at]);
    else if (event.key === "Escape") setOpen(false);
    else return;
    event.preventDefault();
  };
  const listed = open && offers.length > 0;
  return (
    <div class="pick">
      <label for={name}>{label}</label>
      <input
        id={name}
        role="combobox"
        aria-expanded={listed}
        aria-controls={`${name}-list`}
        aria-autocomplete="list"
        aria-activedescendant={listed ? `${name}-${at}` : undefined}
        autocomplete="off"
        placeholder="A part of its name"
        value={text}
        onInput={(event) => {
          search(event.currentTarget.value);
          setOpen(true);
          setAt(0);
        }}
        onFocus={(event) => {
          event.currentTarget.select();
          if (!text) search("");
          setOpen(true);
        }}
        onKeyDown={key}
        onBlur={() => setTimeout(() => setOpen(false), 150)}
      />
      <ul id={`${name}-list`} role="listbox" aria-label={label} hidden={!listed}>
        {offers.map((hit, i) => (
          <li key={hit.track} id={`${name}-${i}`} role="option" aria-selected={i === at} onMouseDown={() => choose(hit)}>
            {titleOf(hit)} <small>{whence(hit)}</small>
          </li>
        ))}
      </ul>
    </div>
  );
}

async function load(from: string, to: string, length: number): Promise<void> {
  failure.value = null;
  list.value = null;
  try {
    list.value = (await api.answer("playlist", { query: { from, to, length } })).hits;
  } catch (error) {
    if (error instanceof ApiError) failure.value = error;
    else complain(error);
  }
}

export default function PlaylistView() {
  const { from, to, length } = route.value;
  const ready = Boolean(from && to);
  useEffect(() => {
    if (ready) void load(from, to, length);
  }, [from, to, length]);
  const hits = ready ? list.value : null;
  useEffect(() => {
    listed.value = hits ?? [];
    selected.value = -1;
  }, [hits]);
  const tracks = () => (hits ?? []).map((hit) => hit.track);
  return (
    <section class="page" aria-label="Playlist">
      <div class="results-head">
        <h1>Playlist</h1>
        <p role="status">{hits ? count(hits.length, "sound") : ""}</p>
      </div>
      <p class="muted">A path from one sound to another, each step close to the one before.</p>
      <div class="ends">
        <Pick label="From" id={from} onPick={(id) => go({ from: id })} />
        <Pick label="To" id={to} onPick={(id) => go({ to: id })} />
        <label class="length">
          Sounds
          <input type="number" min="3" max="100" value={length} onChange={(event) => go({ length: Math.max(3, Number(event.currentTarget.value) || 12) })} />
        </label>
      </div>
      {failure.value && <Notice bad title={failure.value.message} hint={failure.value.hint} />}
      {hits && hits.length > 0 && (
        <>
          <div class="acts" role="group" aria-label="With the playlist">
            <IconButton icon="play" label="Play all" text="Play all" kind="primary" onClick={() => playAll(hits)} />
            <IconButton icon="crate" label="Collect all" text="Collect" onClick={() => gather(hits)} />
            <IconButton icon="file" label="Export as m3u" text="m3u" onClick={() => void exportTracks(tracks(), "m3u", "playlist")} />
            <IconButton icon="file" label="Export as csv" text="csv" onClick={() => void exportTracks(tracks(), "csv", "playlist")} />
          </div>
          <ol class="rows" aria-label="The playlist">
            {hits.map((hit, i) => (
              <Row key={`${hit.track} ${i}`} hit={hit} index={i} show="" selected={selected.value === i} onSelect={() => (selected.value = i)} />
            ))}
          </ol>
        </>
      )}
      {!ready && <Notice title="Choose two sounds" hint="The first and the last of the list; what lies between is found for you." />}
    </section>
  );
}

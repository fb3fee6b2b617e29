// One box for words, a file, a recording, or a link to a moment.
import { useEffect, useRef, useState } from "preact/hooks";
import { linked, parseMoment, type Mode } from "../lib/address";
import { titleOf } from "../lib/format";
import { can, complain, library, recording } from "../state/app";
import { askWith, clipOf } from "../state/clips";
import { ask, go, route } from "../state/route";
import { api } from "../api/client";
import { clock } from "../lib/format";
import { IconButton } from "./parts";
import { Icon } from "./icons";

const names = new Map<string, string>();

/** What to call a moment in a chip: its track's title, once known. */
function useName(moment: string): string {
  const { track, start, end } = parseMoment(moment);
  const [name, setName] = useState(names.get(track) ?? `#${track}`);
  useEffect(() => {
    if (names.has(track)) return setName(names.get(track)!);
    api.track(track).then(
      (sound) => {
        names.set(track, titleOf(sound));
        setName(titleOf(sound));
      },
      () => undefined,
    );
  }, [track]);
  return start === null ? name : `${name} ${clock(start, true)}–${clock(end, true)}`;
}

function MomentChip({ moment, what, onDrop }: { moment: string; what: string; onDrop: () => void }) {
  const name = useName(moment);
  return <Chip what={what} name={name} onDrop={onDrop} />;
}

function Chip({ what, name, onDrop }: { what: string; name: string; onDrop: () => void }) {
  return (
    <li class="asked">
      <span>
        <b>{what}</b> {name}
      </span>
      <IconButton icon="close" label={`Without: ${what} ${name}`} onClick={onDrop} />
    </li>
  );
}

const MODES: { mode: Mode; name: string; needs: "audio" | "identify" | "hum" | "tag" }[] = [
  { mode: "search", name: "Sounds like it", needs: "audio" },
  { mode: "identify", name: "Which recording?", needs: "identify" },
  { mode: "hum", name: "Which tune?", needs: "hum" },
  { mode: "tag", name: "What is it?", needs: "tag" },
];

function ClipPart({ id }: { id: string }) {
  const clip = clipOf(id);
  return (
    <div class="clip">
      <ul class="asked-list" aria-label="The example">
        <Chip what="Example" name={clip?.name ?? "no longer here"} onDrop={() => go({ clip: "", mode: "search" })} />
      </ul>
      {clip && <audio controls src={clip.url} aria-label={`The example: ${clip.name}`} />}
      <fieldset class="segments">
        <legend class="hidden">What to ask about the example</legend>
        {MODES.filter(({ needs }) => can(needs)).map(({ mode, name }) => (
          <label key={mode}>
            <input type="radio" name="mode" checked={route.value.mode === mode} onChange={() => go({ mode })} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
    </div>
  );
}

function Asked() {
  const { like, unlike, moment, clip } = route.value;
  if (!clip && !moment && !like.length && !unlike.length) return null;
  return (
    <div class="asked-area">
      {clip && <ClipPart id={clip} />}
      <ul class="asked-list" aria-label="The question">
        {moment && <MomentChip moment={moment} what="Moment" onDrop={() => go({ moment: "" })} />}
        {like.map((one) => (
          <MomentChip key={one} moment={one} what="Like" onDrop={() => go({ like: like.filter((l) => l !== one) })} />
        ))}
        {unlike.map((one) => (
          <MomentChip key={one} moment={one} what="Unlike" onDrop={() => go({ unlike: unlike.filter((l) => l !== one) })} />
        ))}
      </ul>
    </div>
  );
}

/** Where to look: everywhere, or with one encoder. */
function By() {
  const encoders = library.value?.encoders ?? [];
  // What names recordings and tunes is asked in another way (ClipPart).
  const kinds = encoders.filter((e) => e.kind !== "identify" && e.kind !== "hum").map((e) => e.name);
  return (
    <label class="by-choice">
      <span class="hidden">Search by</span>
      <select value={route.value.by} onChange={(event) => go({ by: event.currentTarget.value })}>
        <option value="">Best answer</option>
        <option value="metadata">Titles and tags</option>
        {kinds.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function SearchBox() {
  const [text, setText] = useState(route.value.text);
  const file = useRef<HTMLInputElement>(null);
  useEffect(() => setText(route.value.text), [route.value.text]);
  const submit = (event: Event) => {
    event.preventDefault();
    const link = linked(text, location.origin);
    if (link) {
      setText("");
      return go(link);
    }
    const { clip, like, unlike, mode } = route.value;
    const together = mode === "search" && (clip || like.length || unlike.length);
    if (together) go({ view: "search", text: text.trim() });
    else ask({ text: text.trim() });
  };
  return (
    <form class="searchbox" role="search" aria-label="Sounds" onSubmit={submit}>
      <div class="field">
        <Icon name="search" />
        <input
          id="q"
          type="search"
          value={text}
          placeholder={can("text") ? "Describe a sound …" : "Name or drop a sound"}
          aria-label="Search for sounds: words, or a link to a moment"
          aria-keyshortcuts="/"
          autocomplete="off"
          spellcheck={false}
          enterkeyhint="search"
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <By />
        <IconButton icon="mic" label="Record an example, a clip to identify, or a hum" shortcut="v" onClick={() => (recording.value = "search")} />
        <IconButton icon="file" label="Search with a file" onClick={() => file.current?.click()} />
        <input
          ref={file}
          type="file"
          class="hidden"
          tabIndex={-1}
          accept="audio/*,video/webm,video/mp4"
          aria-label="A file to search with"
          onChange={(event) => {
            try {
              askWith(event.currentTarget.files?.[0]);
            } catch (error) {
              complain(error);
            }
            event.currentTarget.value = "";
          }}
        />
        <button type="submit" class="button primary">
          Search
        </button>
      </div>
      <Asked />
    </form>
  );
}

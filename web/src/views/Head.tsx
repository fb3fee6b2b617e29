// Above the answers: how many, in which order, what is done with all of them.
import { type Route } from "../lib/address";
import { count } from "../lib/format";
import { can, library } from "../state/app";
import { exportTracks, forgetLikes, gather, likes, unlikes } from "../state/crate";
import { playAll } from "../state/player";
import { forget, hushed, recent } from "../state/recent";
import { ask, go, route } from "../state/route";
import type { Found } from "../state/search";
import { Icon } from "../ui/icons";
import { IconButton } from "../ui/parts";
import { askWords } from "../ui/SearchBox";

export const HEADINGS: Record<Found["kind"], string> = {
  browse: "All sounds",
  search: "Answers",
  identify: "Which recording is this?",
  hum: "Which tune is this?",
  tag: "What is this?",
  random: "A random handful",
  recommend: "Recommended",
};

function summary(now: Found): string {
  if (now.state === "loading") return "Searching …";
  if (now.state === "error") return "";
  if (now.kind === "tag") return count(now.tags?.tags.length ?? 0, "tag");
  const n = now.kind === "browse" ? now.total : now.hits.length;
  return count(n, now.kind === "browse" ? "sound" : "answer");
}

function took({ kind, state, seconds }: Found): string {
  if (state !== "done" || kind === "browse" || kind === "tag") return "";
  return ` in ${seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`}`;
}

export function surprise(): void {
  ask({ mode: "random", seed: String(Math.floor(Math.random() * 1e6)) });
}

const ORDERS: [string, string][] = [
  ["", "as added"],
  ["-id", "newest first"],
  ["title", "by title"],
  ["path", "by folder"],
  ["duration", "shortest first"],
  ["-duration", "longest first"],
];

/** The order of all sounds, or which encoder answers. */
function How({ kind }: { kind: Found["kind"] }) {
  // What names recordings and tunes is asked in another way (Question).
  const encoders = (library.value?.encoders ?? []).filter((e) => e.kind !== "identify" && e.kind !== "hum");
  const ways: [string, string][] = [["", "best answer"], ["metadata", "titles and tags"]];
  for (const { name } of encoders) ways.push([name, `by ${name}`]);
  const browse = kind === "browse";
  if (!browse && kind !== "search") return null;
  const now = browse ? route.value.sort : route.value.by;
  return (
    <label class="how">
      <span class="hidden">{browse ? "Order" : "Search by"}</span>
      <select value={now} onChange={(event) => go({ [browse ? "sort" : "by"]: event.currentTarget.value })}>
        {(browse ? ORDERS : ways).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Head({ now }: { now: Found }) {
  const tracks = () => now.hits.map((hit) => hit.track);
  return (
    <div class="results-head">
      <h1>{HEADINGS[now.kind]}</h1>
      <p role="status" aria-live="polite">
        {summary(now)}
        <span class="roomy">{took(now)}</span>
      </p>
      <How kind={now.kind} />
      <span class="spread" />
      <div class="acts" role="group" aria-label="With all answers">
        {now.hits.length > 0 && now.kind !== "identify" && (
          <>
            <IconButton icon="play" label="Play all" text="Play all" onClick={() => playAll(now.hits)} />
            <IconButton icon="crate" label="Collect all" text="Collect" kind="brief" onClick={() => gather(now.hits)} />
            <IconButton icon="file" label="Export as m3u" text="m3u" onClick={() => void exportTracks(tracks(), "m3u", "earmark")} />
            <IconButton icon="file" label="Export as csv" text="csv" onClick={() => void exportTracks(tracks(), "csv", "earmark")} />
          </>
        )}
        <IconButton icon="dice" label="Surprise me" shortcut="r" text="Surprise me" onClick={surprise} />
      </div>
    </div>
  );
}

/** The words of before, where nothing is asked yet. */
export function Recent() {
  if (!recent.value.length) return null;
  return (
    <div class="recent" role="group" aria-label="Searched before">
      <Icon name="past" size={16} />
      {recent.value.map((words) => (
        <button key={words} type="button" class="chip" onClick={() => askWords(words)}>
          {words}
        </button>
      ))}
      <IconButton icon="close" label="Forget what was searched" onClick={forget} />
    </div>
  );
}

export function Judged() {
  const [good, bad] = [likes.value, unlikes.value];
  if (!good.length && !bad.length) return null;
  const patch: Partial<Route> = { like: good, unlike: bad };
  return (
    <div class="judged" role="group" aria-label="Your likes">
      <span>
        <b>{good.length}</b> liked, <b>{bad.length}</b> not
      </span>
      <IconButton icon="more" label="Find more like these" text="Find more like these" kind="primary" disabled={good.length === 0} onClick={() => ask(patch)} />
      {can("recommend") && good.length > 0 && (
        <IconButton icon="dice" label="Recommend" text="Recommend" onClick={() => ask({ ...patch, mode: "recommend" })} />
      )}
      <IconButton icon="close" label="Forget the likes" onClick={forgetLikes} />
    </div>
  );
}

/** What the server says about how it answered. */
export function Note({ text }: { text: string }) {
  return (
    <p class="note">
      <span>{text}</span>
      <IconButton icon="close" label="Hide this note" onClick={() => (hushed.value = [...hushed.value, text])} />
    </p>
  );
}


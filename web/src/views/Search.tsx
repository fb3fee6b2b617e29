// The first view: answers on the right, filters and aspects on the left.
import { useEffect } from "preact/hooks";
import { count, span } from "../lib/format";
import { can, complain, facets, library, where } from "../state/app";
import { exportTracks, gather, likes, unlikes } from "../state/crate";
import { playAll } from "../state/player";
import { EMPTY, type Route } from "../lib/address";
import { ask, go, route } from "../state/route";
import { again, found, listed, more, selected, type Found } from "../state/search";
import { IconButton, Notice } from "../ui/parts";
import { Row } from "../ui/Row";
import { Aspects, Facets } from "./Refine";
import { Contours, IdentifyAnswer, Tags } from "./Answers";

const HEADINGS: Record<Found["kind"], string> = {
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
  const took = now.kind === "browse" ? "" : ` in ${now.seconds < 1 ? `${Math.round(now.seconds * 1000)} ms` : `${now.seconds.toFixed(1)} s`}`;
  return `${count(n, now.kind === "browse" ? "sound" : "answer")}${took}`;
}

function Judged() {
  const [good, bad] = [likes.value, unlikes.value];
  if (!good.length && !bad.length) return null;
  const patch: Partial<Route> = { like: good, unlike: bad };
  const clear = () => {
    likes.value = [];
    unlikes.value = [];
  };
  return (
    <div class="judged" role="group" aria-label="Your likes">
      <span>
        <b>{good.length}</b> liked, <b>{bad.length}</b> not
      </span>
      <IconButton icon="more" label="Find more like these" text="Find more like these" kind="primary" disabled={good.length === 0} onClick={() => ask(patch)} />
      {can("recommend") && good.length > 0 && (
        <IconButton icon="dice" label="Recommend" text="Recommend" onClick={() => ask({ ...patch, mode: "recommend" })} />
      )}
      <IconButton icon="close" label="Forget the likes" onClick={clear} />
    </div>
  );
}

function Nothing({ now }: { now: Found }) {
  const filtered = where.value !== "";
  const drop = () => go({ filters: {}, where: "" });
  if (library.value?.tracks === 0)
    return (
      <Notice title="This library is empty" hint="Index a folder: from the command line with `earmark index FOLDER`, or here.">
        <IconButton icon="add" label="Index a folder" text="Index a folder" kind="primary" onClick={() => go({ ...EMPTY, view: "library" })} />
      </Notice>
    );
  const hints: Partial<Record<Found["kind"], string>> = {
    identify: "No recording in this library fits well enough. Try a longer or louder clip, 5 to 10 seconds of the music.",
    hum: "No tune fits. Hum a little longer, a clear melody without words.",
  };
  return (
    <Notice
      title={now.kind === "identify" ? "No recording matches" : "Nothing found"}
      hint={hints[now.kind] ?? (filtered ? "Perhaps the filters are too narrow." : "Other words, or an example of the sound, may find it.")}
    >
      {filtered && <IconButton icon="close" label="Without filters" text="Without filters" onClick={drop} />}
      <IconButton icon="dice" label="Surprise me" text="Surprise me" onClick={surprise} />
    </Notice>
  );
}

export function surprise(): void {
  ask({ mode: "random", seed: String(Math.floor(Math.random() * 1e6)) });
}

function Head({ now }: { now: Found }) {
  const tracks = () => now.hits.map((hit) => hit.track);
  return (
    <div class="results-head">
      <h1>{HEADINGS[now.kind]}</h1>
      <p role="status" aria-live="polite">
        {summary(now)}
      </p>
      <span class="spread" />
      {now.hits.length > 0 && now.kind !== "identify" && (
        <div class="acts" role="group" aria-label="With all answers">
          <IconButton icon="play" label="Play all" text="Play all" onClick={() => playAll(now.hits)} />
          <IconButton icon="crate" label="Collect all" text="Collect" onClick={() => gather(now.hits)} />
          <IconButton icon="file" label="Export as m3u" text="m3u" onClick={() => void exportTracks(tracks(), "m3u", "earmark")} />
        </div>
      )}
      <IconButton icon="dice" label="Surprise me" shortcut="r" text="Surprise me" onClick={surprise} />
    </div>
  );
}

function List({ now }: { now: Found }) {
  const score = now.kind !== "browse" && now.kind !== "random";
  const rows = now.kind === "identify" ? now.hits.slice(1) : now.hits;
  const first = now.hits.length - rows.length;
  const page = now.kind === "browse" && now.hits.length < now.total;
  const wider = now.kind === "search" && now.hits.length >= route.value.k && route.value.k < 200;
  return (
    <>
      {now.kind === "identify" && <IdentifyAnswer hit={now.hits[0]!} />}
      {now.kind === "identify" && rows.length > 0 && <h2 class="also">Less likely</h2>}
      <ol class={`rows ${now.state} ${score ? "" : "plain"}`} aria-label={HEADINGS[now.kind]} aria-busy={now.state === "loading"}>
        {rows.map((hit, i) => (
          <Row
            key={`${hit.track} ${hit.start}`}
            hit={hit}
            index={i + first}
            score={score}
            selected={selected.value === i + first}
            onSelect={() => (selected.value = i + first)}
          >
            {now.kind === "hum" && hit.contour && <Contours hit={hit} />}
          </Row>
        ))}
      </ol>
      {page && (
        <button type="button" class="button wide" onClick={() => more().catch(complain)}>
          Show more
        </button>
      )}
      {wider && (
        <button type="button" class="button wide" onClick={() => go({ k: Math.min(200, route.value.k + 20) })}>
          Show more
        </button>
      )}
    </>
  );
}

function Results() {
  const now = found.value;
  useEffect(() => {
    listed.value = now.hits;
  }, [now.hits]);
  useEffect(() => {
    if (selected.value >= 0)
      document.querySelector(`[data-row="${selected.value}"]`)?.scrollIntoView({ block: "nearest" });
  }, [selected.value]);
  let content;
  if (now.state === "error")
    content = (
      <Notice bad title={now.error!.message} hint={now.error!.hint}>
        <IconButton icon="loop" label="Try again" text="Try again" onClick={again} />
      </Notice>
    );
  else if (now.kind === "tag" && now.tags) content = <Tags answer={now.tags} />;
  else if (now.hits.length) content = <List now={now} />;
  else if (now.state === "done") content = <Nothing now={now} />;
  else content = <div class="waiting" aria-hidden="true" />;
  return (
    <section class="results" aria-label="Results">
      <Head now={now} />
      <Judged />
      {content}
    </section>
  );
}

export function SearchView() {
  const facts = library.value;
  return (
    <div class="columns">
      <aside class="refine" aria-label="Refine">
        <Aspects />
        {facets.value.length > 0 && <Facets />}
        {facts && (
          <p class="muted library-line">
            {count(facts.tracks, "sound")}, {span(facts.seconds)}
          </p>
        )}
      </aside>
      <Results />
    </div>
  );
}

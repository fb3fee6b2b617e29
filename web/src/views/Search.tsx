// The first view: answers on the right, filters and aspects on the left.
import { useEffect } from "preact/hooks";
import { EMPTY } from "../lib/address";
import { count, span } from "../lib/format";
import { can, complain, facets, library, where } from "../state/app";
import { hushed } from "../state/recent";
import { go, route } from "../state/route";
import { again, found, listed, more, selected, type Found } from "../state/search";
import { IconButton, Notice, Waiting } from "../ui/parts";
import { Question } from "../ui/Question";
import { Row, shownOf } from "../ui/Row";
import { Contours, IdentifyAnswer, Tags } from "./Answers";
import { Head, HEADINGS, Judged, Note, Recent, surprise } from "./Head";
import { Aspects, Facets } from "./Refine";

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
      {hints[now.kind] && can("audio") ? (
        <IconButton icon="more" label="What sounds like it?" text="What sounds like it?" onClick={() => go({ mode: "search" })} />
      ) : (
        <IconButton icon="dice" label="Surprise me" text="Surprise me" onClick={surprise} />
      )}
    </Notice>
  );
}

function List({ now }: { now: Found }) {
  const show = now.kind === "browse" || now.kind === "random" ? "" : shownOf(now.hits);
  const rows = now.kind === "identify" ? now.hits.slice(1) : now.hits;
  const first = now.hits.length - rows.length;
  const page = now.kind === "browse" && now.hits.length < now.total;
  const wider = now.kind === "search" && now.hits.length >= route.value.k && route.value.k < 200;
  return (
    <>
      {now.kind === "identify" && <IdentifyAnswer hit={now.hits[0]!} />}
      {now.kind === "identify" && rows.length > 0 && <h2 class="also">Less likely</h2>}
      <ol class={`rows ${now.state}`} aria-label={HEADINGS[now.kind]} aria-busy={now.state === "loading"}>
        {rows.map((hit, i) => (
          <Row
            key={`${hit.track} ${hit.start}`}
            hit={hit}
            index={i + first}
            show={show}
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
  else content = <Waiting rows={now.kind === "identify" ? 1 : 8} />;
  return (
    <section class="results" aria-label="Results">
      {now.kind === "browse" && <Recent />}
      <Head now={now} />
      <Judged />
      {now.notes
        .filter((note) => !hushed.value.includes(note))
        .map((note) => (
          <Note key={note} text={note} />
        ))}
      {content}
    </section>
  );
}

export function SearchView() {
  const facts = library.value;
  const { kind } = found.value;
  return (
    <div class="columns">
      <Question />
      <aside class="refine" aria-label="Refine">
        {kind === "search" && <Aspects />}
        {kind !== "tag" && facets.value.length > 0 && <Facets />}
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

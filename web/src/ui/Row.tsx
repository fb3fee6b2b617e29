// One answer: what it is, where in it, how it looks, and what can be done with it.
import { useEffect, useState } from "preact/hooks";
import { address, openAddress, type Query } from "../api/client";
import type { Hit } from "../api/types";
import { holdsNotes, isWhole, length, moment, titleOf, whence } from "../lib/format";
import { formatMoment } from "../lib/address";
import { resting } from "../lib/aspects";
import { complain, library, say } from "../state/app";
import { dragOut, inCrate, judge, judged, nameOf, toggleCrate } from "../state/crate";
import { current, play, playing, toggle } from "../state/player";
import { ask, route } from "../state/route";
import { momentOf } from "../state/search";
import { IconButton } from "./parts";
import { Icon } from "./icons";
import { Waveform } from "./Waveform";

export function moreLike(hit: Hit): void {
  ask({ like: [formatMoment(momentOf(hit))] });
}

export async function copyLink(hit: Hit): Promise<void> {
  const link = `${location.origin}/?moment=${encodeURIComponent(formatMoment(momentOf(hit)))}`;
  try {
    await navigator.clipboard.writeText(link);
    say("Link to this moment copied");
  } catch {
    prompt("The link to this moment", link);
  }
}

/** What of a sound leaves the browser: the file itself, or a moment as wav. */
function leaving(hit: Hit): Query {
  const part = hit.start !== null && hit.end !== null;
  return part ? { format: "wav", start: hit.start, end: hit.end } : {};
}

export function DragHandle({ hit }: { hit: Hit }) {
  const plain = address("audio", leaving(hit), hit.track);
  const [href, setHref] = useState(plain);
  // A drag cannot wait for a ticket (where a token is needed): it is fetched when the hand comes near.
  const ready = () => void openAddress("audio", hit.track, leaving(hit)).then(setHref, complain);
  useEffect(() => setHref(plain), [plain]);
  return (
    <a
      class="button bare drag"
      href={href}
      download={nameOf(hit)}
      draggable
      title="Drag into another program, or click to save"
      aria-label={`Save ${titleOf(hit)}, or drag it into another program`}
      onPointerEnter={ready}
      onFocus={ready}
      onDragStart={(event) => dragOut(event, hit, href)}
      onClick={(event) => event.stopPropagation()}
    >
      <Icon name="drag" />
    </a>
  );
}

export function isCurrent(hit: Hit): boolean {
  const now = current.value?.hit;
  return now?.track === hit.track && now.start === hit.start;
}

/** Play it, or pause if it plays. */
export function playOrPause(hit: Hit): void {
  if (isCurrent(hit)) toggle();
  else play(hit);
}

/** What stands beside an answer: nothing, what found it, or its score too. */
export type Shown = "" | "by" | "score";

/** What several ways agree on is ranked, not measured: its scores say nothing by themselves. */
export function shownOf(hits: Hit[]): Shown {
  return hits.some(({ by }) => by.includes("+")) ? "by" : "score";
}

function Facts({ hit, show }: { hit: Hit; show: Shown }) {
  const whole = isWhole(hit);
  const shown = hit.score?.toFixed(3) ?? "–";
  return (
    <dl class="facts">
      <div>
        <dt class="hidden">{whole ? "Length" : "Moment"}</dt>
        <dd class="when">{whole ? length(hit.duration) : moment(hit.start, hit.end)}</dd>
      </div>
      {show && (
        <div>
          <dt class="hidden">{show === "by" ? "Found by" : "Score"}</dt>
          <dd title={`score ${shown}, by ${hit.by}`}>
            {show === "score" && shown} <span class="by">{hit.by.replaceAll("+", " + ")}</span>
          </dd>
        </div>
      )}
    </dl>
  );
}

/** How alike in each aspect that was weighed. */
function Alike({ aspects }: { aspects: Record<string, number | null> }) {
  const names = library.value?.aspects ?? [];
  const counts = (name: string) => (route.value.aspects[name] ?? resting(name, names)) !== 0;
  const shown = Object.entries(aspects).filter(([name]) => counts(name));
  return (
    <ul class="alike" aria-label="How alike">
      {shown.map(([name, share]) => (
        <li key={name}>
          {name} <b>{share?.toFixed(2) ?? "–"}</b>
        </li>
      ))}
    </ul>
  );
}

interface Props {
  hit: Hit;
  index: number;
  selected: boolean;
  show: Shown;
  onSelect: () => void;
  children?: preact.ComponentChildren;
}

export function Row({ hit, index, selected, show, onSelect, children }: Props) {
  const title = titleOf(hit);
  const judgement = judged(hit);
  const sounding = isCurrent(hit) && playing.value;
  return (
    <li
      class={`row ${selected ? "selected" : ""} ${sounding ? "sounding" : ""}`}
      data-row={index}
      aria-current={selected ? "true" : undefined}
      onClick={(event) => {
        if ((event.target as HTMLElement).closest("button, a")) return;
        onSelect();
        play(hit);
      }}
    >
      <button
        type="button"
        class="play"
        aria-label={`${sounding ? "Pause" : "Play"} ${title}`}
        onFocus={onSelect}
        onClick={() => {
          onSelect();
          playOrPause(hit);
        }}
      >
        <Icon name={sounding ? "pause" : "play"} />
      </button>
      <div class="what">
        <h2 title={title}>{title}</h2>
        <p title={hit.path}>{whence(hit)}</p>
      </div>
      <Waveform
        track={hit.track}
        duration={hit.duration}
        start={hit.start}
        end={hit.end}
        label={title}
        silent={holdsNotes(hit.path)}
        onSeek={(seconds) => {
          onSelect();
          play(hit, seconds);
        }}
      />
      <Facts hit={hit} show={show} />
      <div class="acts" role="group" aria-label={`With ${title}`}>
        <IconButton icon="more" label="More like this" shortcut="m" onClick={() => moreLike(hit)} />
        <IconButton icon="like" label="Like" shortcut="l" pressed={judgement === "like"} onClick={() => judge(hit, true)} />
        <IconButton icon="unlike" label="Not this" shortcut="u" pressed={judgement === "unlike"} onClick={() => judge(hit, false)} />
        <IconButton
          icon={inCrate(hit) ? "check" : "add"}
          label="In the collection"
          shortcut="c"
          pressed={inCrate(hit)}
          onClick={() => toggleCrate(hit)}
        />
        <IconButton icon="link" label="Copy the link" onClick={() => void copyLink(hit)} />
        <DragHandle hit={hit} />
      </div>
      {hit.aspects && <Alike aspects={hit.aspects} />}
      {children}
    </li>
  );
}

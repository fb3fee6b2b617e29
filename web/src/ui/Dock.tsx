// The player at the foot of the page: the whole track, the moment in it, and a selection.
import { useEffect, useState } from "preact/hooks";
import { openAddress } from "../api/client";
import type { Hit } from "../api/types";
import { formatMoment } from "../lib/address";
import { clock, length, titleOf, whence } from "../lib/format";
import { complain, say } from "../state/app";
import { inCrate, judge, judged, toggleCrate } from "../state/crate";
import { current, loop, playing, playNext, playOn, playSelection, position, selection, toCome, toggle, volume } from "../state/player";
import { ask } from "../state/route";
import { DockWave } from "./DockWave";
import { IconButton } from "./parts";
import { Icon } from "./icons";
import { copyLink, DragHandle } from "./Row";

/** The selected part as a hit of its own, else the hit that plays. */
export function focusHit(): Hit | null {
  const now = current.value;
  const part = selection.value;
  if (!now) return null;
  return part ? { ...now.hit, start: part.start, end: part.end } : now.hit;
}

export function moreLikeThis(): void {
  const hit = focusHit();
  if (!hit) return;
  ask({ like: [formatMoment({ track: hit.track, start: hit.start, end: hit.end })] });
}

/** Set one end of the selection at the place that plays. */
export function mark(side: "start" | "end"): void {
  const now = current.peek();
  if (!now) return;
  const at = Math.round(position.peek() * 100) / 100;
  const length = now.hit.duration ?? at + 1;
  const old = selection.peek() ?? { start: now.hit.start ?? 0, end: now.hit.end ?? length };
  const next = side === "start" ? { start: at, end: Math.max(old.end, at + 0.1) } : { start: Math.min(old.start, Math.max(0, at - 0.1)), end: at };
  if (next.end <= next.start) return;
  selection.value = next;
  say(`Selected ${clock(next.start, true)} to ${clock(next.end, true)}`);
}

/** Frequencies over time: of the whole track, or of its selected part. */
function Spectrum({ hit }: { hit: Hit }) {
  const [source, setSource] = useState("");
  const part = selection.value;
  useEffect(() => {
    const query = { ...(part && { start: part.start.toFixed(2), end: part.end.toFixed(2) }), width: 1200, height: 160 };
    openAddress("spectrogram", hit.track, query).then(setSource, complain);
  }, [hit.track, part]);
  return source ? <img class="spectrum" src={source} alt={`Spectrogram of ${titleOf(hit)}${part ? ", the selected part" : ""}`} /> : null;
}

function Selection({ hit }: { hit: Hit }) {
  const part = selection.value;
  const change = (side: "start" | "end") => (event: Event) => {
    const value = Number((event.currentTarget as HTMLInputElement).value);
    const old = part ?? { start: hit.start ?? 0, end: hit.end ?? hit.duration ?? 1 };
    const next = { ...old, [side]: value };
    if (Number.isFinite(value) && next.end > next.start) selection.value = next;
  };
  return (
    <div class="selection" role="group" aria-label="Selected part">
      <label>
        From
        <input type="number" min="0" step="0.1" value={(part?.start ?? hit.start ?? 0).toFixed(1)} onChange={change("start")} aria-keyshortcuts="[" />
      </label>
      <label>
        to
        <input type="number" min="0" step="0.1" value={(part?.end ?? hit.end ?? hit.duration ?? 0).toFixed(1)} onChange={change("end")} aria-keyshortcuts="]" />
        s
      </label>
      {part && <IconButton icon="play" label="Play the selection" onClick={playSelection} />}
      {part && <IconButton icon="close" label="Drop the selection" onClick={() => (selection.value = null)} />}
    </div>
  );
}

function Time({ hit }: { hit: Hit }) {
  return (
    <span class="time">
      {clock(position.value, true)} <span class="muted">/ {length(hit.duration)}</span>
    </span>
  );
}

function Volume() {
  const loud = volume.value;
  return (
    <span class="volume roomy">
      <IconButton icon={loud ? "sound" : "mute"} label="Mute" pressed={loud === 0} onClick={() => (volume.value = loud ? 0 : 1)} />
      <input
        type="range"
        min="0"
        max="1"
        step="0.05"
        aria-label="Volume"
        value={loud}
        onInput={(event) => (volume.value = Number(event.currentTarget.value))}
      />
    </span>
  );
}

function Controls() {
  return (
    <div class="controls">
      <IconButton icon="previous" label="Previous answer" shortcut="p" onClick={() => playNext(-1)} />
      <button type="button" class="play big" aria-label={playing.value ? "Pause" : "Play"} aria-keyshortcuts="Space" onClick={toggle}>
        <Icon name={playing.value ? "pause" : "play"} size={24} />
      </button>
      <IconButton icon="next" label="Next answer" shortcut="n" onClick={() => playNext()} />
    </div>
  );
}

function Actions({ hit }: { hit: Hit }) {
  const [judgement, gathered] = [judged(hit), inCrate(hit)];
  return (
    <span class="acts">
      <IconButton icon="like" label="Like" kind="roomy" pressed={judgement === "like"} onClick={() => judge(hit, true)} />
      <IconButton icon="unlike" label="Not this" kind="roomy" pressed={judgement === "unlike"} onClick={() => judge(hit, false)} />
      <IconButton icon={gathered ? "check" : "add"} label="In the collection" pressed={gathered} onClick={() => toggleCrate(hit)} />
      <IconButton icon="link" label="Copy the link" kind="roomy" onClick={() => void copyLink(hit)} />
      <DragHandle hit={hit} />
    </span>
  );
}

export function Dock() {
  const hit = focusHit();
  const [spectrum, setSpectrum] = useState(false);
  if (!hit) return null;
  const whole = current.value!.hit;
  return (
    <section class="dock" aria-label="Player">
      <div class="dock-head">
        <Controls />
        <div class="what">
          <h2 title={titleOf(hit)}>{titleOf(hit)}</h2>
          <p class="roomy" title={hit.path}>
            {whence(hit)}
          </p>
          <p class="dock-time">
            <Time hit={hit} />
            {toCome.value > 0 && <span class="muted">, {toCome.value} to come</span>}
          </p>
        </div>
      </div>
      <DockWave key={`${whole.track} ${whole.start}`} hit={whole} />
      {spectrum && <Spectrum hit={whole} />}
      <div class="dock-foot">
        <IconButton icon="more" label="More like this moment" text="More like this moment" kind="primary" onClick={moreLikeThis} />
        <Selection hit={whole} />
        <span class="acts modes">
          <IconButton icon="loop" label="Repeat" shortcut="o" pressed={loop.value} onClick={() => (loop.value = !loop.value)} />
          <IconButton icon="onward" label="Play on after each answer" shortcut="a" pressed={playOn.value} onClick={() => (playOn.value = !playOn.value)} />
          <IconButton icon="spectrum" label="Spectrogram" kind="roomy" pressed={spectrum} onClick={() => setSpectrum(!spectrum)} />
          <Volume />
        </span>
        <Actions hit={hit} />
      </div>
    </section>
  );
}

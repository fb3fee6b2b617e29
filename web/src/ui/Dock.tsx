// The player at the foot of the page: the whole track, the moment in it, and a selection.
import { useEffect, useRef, useState } from "preact/hooks";
import { openAddress } from "../api/client";
import type { Hit } from "../api/types";
import { formatMoment } from "../lib/address";
import { clock, folder, titleOf } from "../lib/format";
import { peaksOf } from "../lib/peaks";
import { complain, paint, say } from "../state/app";
import { inCrate, judge, judged, toggleCrate } from "../state/crate";
import { audio, current, loop, play, playing, playSelection, position, queue, seek, selection, toggle } from "../state/player";
import { ask } from "../state/route";
import { IconButton } from "./parts";
import { Icon } from "./icons";
import { copyLink, DragHandle } from "./Row";
import type { BigWave } from "./wave";

/** The selected part as a hit of its own, else the hit that plays. */
export function focusHit(): Hit | null {
  const now = current.peek();
  const part = selection.peek();
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

function Wave({ hit, zoom }: { hit: Hit; zoom: number }) {
  const box = useRef<HTMLDivElement>(null);
  const wave = useRef<BigWave | null>(null);
  const painted = paint.value;
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let gone = false;
    setFailed(false);
    Promise.all([import("./wave"), peaksOf(hit.track, { points: 2000 })]).then(
      ([{ bigWave }, peaks]) => {
        if (gone || !box.current) return;
        const moment = hit.start !== null && hit.end !== null ? { start: hit.start, end: hit.end } : null;
        wave.current = bigWave({
          box: box.current,
          peaks,
          moment,
          onSeek: (seconds) => (playing.peek() || audio.src ? seek(seconds) : play(hit, seconds)),
          onSelect: (part) => (selection.value = part),
        });
        wave.current.select(selection.peek());
        wave.current.zoom(zoom);
      },
      () => gone || setFailed(true),
    );
    return () => {
      gone = true;
      wave.current?.destroy();
      wave.current = null;
    };
  }, [hit.track, hit.start, hit.end, painted]);
  useEffect(() => position.subscribe((seconds) => wave.current?.follow(seconds)), []);
  useEffect(() => selection.subscribe((part) => wave.current?.select(part)), []);
  useEffect(() => wave.current?.zoom(zoom), [zoom]);
  return (
    <div class="dock-wave" ref={box} role="img" aria-label={`Waveform of ${titleOf(hit)}; drag to select a part`}>
      {failed && <span class="wave-missing">no waveform</span>}
    </div>
  );
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
      {clock(position.value, true)} <span class="muted">/ {clock(hit.duration)}</span>
    </span>
  );
}

export function Dock() {
  const now = current.value;
  const [zoom, setZoom] = useState(1);
  const [spectrum, setSpectrum] = useState(false);
  useEffect(() => setZoom(1), [now?.hit.track]);
  if (!now) return null;
  const { hit } = now;
  const judgement = judged(hit);
  return (
    <section class="dock" aria-label="Player">
      <div class="dock-head">
        <button type="button" class="play big" aria-label={playing.value ? "Pause" : "Play"} aria-keyshortcuts="Space" onClick={toggle}>
          <Icon name={playing.value ? "pause" : "play"} size={24} />
        </button>
        <div class="what">
          <h2>{titleOf(hit)}</h2>
          <p title={hit.path}>{hit.artist || folder(hit.path)}</p>
        </div>
        <Time hit={hit} />
        {queue.value.length > 0 && <span class="muted">{queue.value.length} to come</span>}
      </div>
      <Wave hit={hit} zoom={zoom} />
      {spectrum && <Spectrum hit={hit} />}
      <div class="dock-foot">
        <IconButton icon="more" label="More like this moment" text="More like this moment" kind="primary" onClick={moreLikeThis} />
        <Selection hit={hit} />
        <label class="zoom">
          Zoom
          <input type="range" min="1" max="20" step="1" value={zoom} onInput={(event) => setZoom(Number(event.currentTarget.value))} />
        </label>
        <span class="acts">
          <IconButton icon="spectrum" label="Spectrogram" pressed={spectrum} onClick={() => setSpectrum(!spectrum)} />
          <IconButton icon="loop" label="Repeat" pressed={loop.value} onClick={() => (loop.value = !loop.value)} />
          <IconButton icon="like" label="Like" pressed={judgement === "like"} onClick={() => judge(hit, true)} />
          <IconButton icon="unlike" label="Not this" pressed={judgement === "unlike"} onClick={() => judge(hit, false)} />
          <IconButton icon={inCrate(hit) ? "check" : "add"} label="In the collection" pressed={inCrate(hit)} onClick={() => toggleCrate(focusHit() ?? hit)} />
          <IconButton icon="link" label="Copy the link" onClick={() => void copyLink(focusHit() ?? hit)} />
          <DragHandle hit={focusHit() ?? hit} />
        </span>
      </div>
    </section>
  );
}

// The player's waveform: a window on the track, as narrow as two seconds, and where it lies in the whole.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Hit } from "../api/types";
import { clock, isWhole, titleOf } from "../lib/format";
import { peaksOf } from "../lib/peaks";
import { firstWindow, panned, zoomed, type Part } from "../lib/window";
import { paint } from "../state/app";
import { audio, play, playing, position, seek, selection } from "../state/player";
import { IconButton } from "./parts";
import type { BigWave } from "./wave";
import { Waveform } from "./Waveform";

/** Where in the whole track the window lies; a click or a drag takes it there. */
function Overview({ hit, seconds, window, onMove }: { hit: Hit; seconds: number; window: Part; onMove: (middle: number) => void }) {
  const share = (t: number) => `${(t / seconds) * 100}%`;
  const move = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    if (event.type === "pointerdown" || event.buttons) onMove(((event.clientX - box.left) / box.width) * seconds);
  };
  return (
    <div class="overview" aria-hidden="true" onPointerDown={move} onPointerMove={move}>
      <Waveform track={hit.track} duration={hit.duration} start={hit.start} end={hit.end} label={titleOf(hit)} onSeek={() => undefined} />
      <span class="window" style={{ left: share(window.start), width: share(window.end - window.start) }} />
    </div>
  );
}

/** The waveform of wavesurfer, made anew for each window once its peaks are there. */
function useWave(hit: Hit, window: Part | null, onFail: () => void) {
  const box = useRef<HTMLDivElement>(null);
  const wave = useRef<BigWave | null>(null);
  const painted = paint.value;
  useEffect(() => {
    let gone = false;
    const query = window ? { start: window.start.toFixed(2), end: window.end.toFixed(2) } : {};
    Promise.all([import("./wave"), peaksOf(hit.track, { points: 2000, ...query })]).then(
      ([{ bigWave }, peaks]) => {
        if (gone || !box.current) return;
        wave.current?.destroy();
        wave.current = bigWave({
          box: box.current,
          peaks,
          moment: isWhole(hit) ? null : { start: hit.start!, end: hit.end! },
          onSeek: (seconds) => (playing.peek() || audio.src ? seek(seconds) : play(hit, seconds)),
          onSelect: (part) => (selection.value = part),
        });
        wave.current.select(selection.peek());
        wave.current.follow(position.peek());
      },
      () => gone || onFail(),
    );
    return () => {
      gone = true;
    };
  }, [hit, window, painted]);
  useEffect(() => () => wave.current?.destroy(), []);
  useEffect(() => position.subscribe((seconds) => wave.current?.follow(seconds)), []);
  useEffect(() => selection.subscribe((part) => wave.current?.select(part)), []);
  return box;
}

/** A value that has rested for a moment. */
function useRested<T>(value: T, milliseconds: number): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const later = setTimeout(() => setRested(value), milliseconds);
    return () => clearTimeout(later);
  }, [value]);
  return rested;
}

export function DockWave({ hit }: { hit: Hit }) {
  const seconds = hit.duration ?? 0;
  const [window, setWindow] = useState<Part | null>(() => firstWindow(hit, seconds));
  const [failed, setFailed] = useState(false);
  const rested = useRested(window, 120);
  const box = useWave(hit, rested, () => setFailed(true));
  const now = window ?? { start: 0, end: seconds };
  const change = (next: Part) => setWindow(next.end - next.start >= seconds ? null : next);
  const zoom = (times: number, at?: number) => change(zoomed(now, times, at ?? position.peek(), seconds));
  // While it plays the window goes along.
  useEffect(
    () =>
      position.subscribe((at) => {
        if (!window || !playing.peek()) return;
        if (at > window.end && at < window.end + 1) setWindow(panned(window, at - window.start, seconds));
      }),
    [window],
  );
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const view = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const span = now.end - now.start;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (sideways) return change(panned(now, (sideways / view.width) * span, seconds));
    zoom(Math.exp(event.deltaY * 0.002), now.start + ((event.clientX - view.left) / view.width) * span);
  };
  return (
    <div class="dock-sound">
      <div class="dock-wave" ref={box} role="img" aria-label={`Waveform of ${titleOf(hit)}; drag to select a part`} onWheel={wheel}>
        {failed && <span class="wave-missing">no waveform</span>}
      </div>
      {window && <Overview hit={hit} seconds={seconds} window={window} onMove={(at) => setWindow(panned(window, at - (window.start + window.end) / 2, seconds))} />}
      <div class={`zoom ${window ? "" : "whole"}`} role="group" aria-label="What the waveform shows">
        {window && (
          <span class="muted">
            {clock(window.start, true)} – {clock(window.end, true)}
          </span>
        )}
        <IconButton icon="less" label="Further away" disabled={!window} onClick={() => zoom(2)} />
        <IconButton icon="add" label="Closer" onClick={() => zoom(0.5)} />
        <IconButton icon="whole" label="The whole sound" disabled={!window} onClick={() => setWindow(null)} />
      </div>
    </div>
  );
}

// The waveform of a row: bars on a canvas, the moment in colour, a line where it plays.
import { useEffect, useRef, useState } from "preact/hooks";
import { heights, peaksOf } from "../lib/peaks";
import type { Peaks } from "../api/types";
import { clock, isWhole } from "../lib/format";
import { paint } from "../state/app";
import { current, position } from "../state/player";

interface Props {
  track: string;
  duration: number | null | undefined;
  start: number | null;
  end: number | null;
  label: string;
  /** Notes without a sound have nothing to draw. */
  silent?: boolean;
  onSeek: (seconds: number) => void;
}

/** Bars, those of the moment in the accent's colour and on its band (no band if it is the whole). */
export function drawWave(canvas: HTMLCanvasElement, peaks: Peaks, start: number | null, end: number | null): void {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width) return;
  const scale = Math.min(2, devicePixelRatio || 1);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d")!;
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(name);
  const seconds = peaks.duration || 1;
  const from = start === null ? -1 : (start / seconds) * width;
  const to = end === null ? -1 : Math.max(from + 3, (end / seconds) * width);
  if (!isWhole({ start, end, duration: seconds })) {
    pen.fillStyle = colour("--moment");
    pen.beginPath();
    pen.roundRect(from, 0, to - from, height, 4);
    pen.fill();
  }
  const step = 3;
  const bars = heights(peaks, Math.floor(width / step));
  for (const inside of [false, true]) {
    pen.fillStyle = colour(inside ? "--accent" : "--wave");
    pen.beginPath();
    bars.forEach((half, i) => {
      const x = i * step;
      if ((x + 2 > from && x < to) !== inside) return;
      const tall = Math.max(1.5, half * (height - 6));
      pen.roundRect(x, (height - tall) / 2, 2, tall, 1);
    });
    pen.fill();
  }
}

function Playhead({ track, seconds }: { track: string; seconds: number }) {
  if (current.value?.hit.track !== track) return null;
  const share = Math.min(1, position.value / seconds);
  return <span class="playhead" style={{ left: `${share * 100}%` }} />;
}

export function Waveform({ track, duration, start, end, label, silent = false, onSeek }: Props) {
  const ref = useRef<HTMLCanvasElement>(null);
  const [peaks, setPeaks] = useState<Peaks | null>(null);
  const [missing, setMissing] = useState(false);
  const painted = paint.value;
  useEffect(() => {
    if (silent) return;
    let gone = false;
    const seen = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        seen.disconnect();
        peaksOf(track, { points: 400 }, () => !gone).then(
          (found) => gone || setPeaks(found),
          () => gone || setMissing(true),
        );
      },
      { rootMargin: "300px" },
    );
    seen.observe(ref.current!);
    return () => {
      gone = true;
      seen.disconnect();
    };
  }, [track]);
  useEffect(() => {
    const canvas = ref.current!;
    if (!peaks) return;
    const again = () => drawWave(canvas, peaks, start, end);
    again();
    const sized = new ResizeObserver(again);
    sized.observe(canvas);
    return () => sized.disconnect();
  }, [peaks, start, end, painted]);
  const seconds = peaks?.duration || duration || 1;
  const said = start === null ? `Waveform of ${label}` : `Waveform of ${label}, the moment from ${clock(start, true)} to ${clock(end, true)} marked`;
  return (
    <div
      class={`wave ${peaks ? "there" : ""}`}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        event.stopPropagation();
        onSeek(((event.clientX - box.left) / box.width) * seconds);
      }}
    >
      <canvas ref={ref} role="img" aria-label={said} />
      {(missing || silent) && <span class="wave-missing">{silent ? "notes, no sound" : "no waveform"}</span>}
      <Playhead track={track} seconds={seconds} />
    </div>
  );
}

// Peaks from the server, few requests at a time, kept for this visit.
import { api, type Query } from "../api/client";
import type { Peaks } from "../api/types";

const kept = new Map<string, Promise<Peaks>>();
const waiting: (() => void)[] = [];
let running = 0;

class Unwanted extends Error {}

/** Wait for a free place; what nobody wants any more by then (its row is gone) is not asked for. */
async function turn<T>(wanted: () => boolean, work: () => Promise<T>): Promise<T> {
  if (running >= 4) await new Promise<void>((go) => waiting.push(go));
  running += 1;
  try {
    if (!wanted()) throw new Unwanted();
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

export function peaksOf(track: string, query: Query, wanted = () => true): Promise<Peaks> {
  const key = `${track} ${JSON.stringify(query)}`;
  let found = kept.get(key);
  if (!found) {
    found = turn(wanted, () => api.peaks(track, query));
    found.catch(() => kept.delete(key));
    kept.set(key, found);
    if (kept.size > 500) kept.delete(kept.keys().next().value!);
  }
  return found;
}

/** The outline of samples: least and greatest of even steps, as the server makes it. */
export function peaksOfSamples(samples: Float32Array, duration: number, points: number): Peaks {
  const min: number[] = [];
  const max: number[] = [];
  for (let point = 0; point < points; point++) {
    const from = Math.floor((point * samples.length) / points);
    const to = Math.max(from + 1, Math.floor(((point + 1) * samples.length) / points));
    let [low, high] = [0, 0];
    for (let i = from; i < to && i < samples.length; i++) {
      low = Math.min(low, samples[i]!);
      high = Math.max(high, samples[i]!);
    }
    min.push(low);
    max.push(high);
  }
  return { duration, start: 0, end: duration, points, min, max };
}

/** Half heights (0-1) of `bars` bars, the loudest as high as the box: quiet sounds stay visible. */
export function heights(peaks: Pick<Peaks, "min" | "max">, bars: number): Float32Array {
  const n = Math.min(peaks.min.length, peaks.max.length);
  const out = new Float32Array(bars);
  let loudest = 0;
  for (let bar = 0; bar < bars && n; bar++) {
    const from = Math.floor((bar * n) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * n) / bars));
    let height = 0;
    for (let i = from; i < to; i++) height = Math.max(height, -peaks.min[i]!, peaks.max[i]!);
    out[bar] = height;
    loudest = Math.max(loudest, height);
  }
  if (loudest > 1e-4) for (let bar = 0; bar < bars; bar++) out[bar]! /= loudest;
  return out;
}

// The part of a track that a waveform shows.

/** Seconds of a track, or of what is shown of it. */
export interface Part {
  start: number;
  end: number;
}

/** The narrowest window, in seconds. */
const LEAST = 2;
/** A moment that is narrower than this share of the whole is shown from near. */
const SMALL = 1 / 60;

/** The whole track (null), or the moment with its surroundings where it would not be seen otherwise. */
export function firstWindow({ start, end }: { start: number | null; end: number | null }, seconds: number): Part | null {
  if (start === null || end === null || !seconds || end - start > seconds * SMALL) return null;
  return placed((start + end) / 2, Math.max(20, 8 * (end - start)), seconds);
}

/** `span` seconds around a middle, kept within the track. */
function placed(middle: number, span: number, seconds: number): Part {
  const wide = Math.min(span, seconds);
  const start = Math.max(0, Math.min(seconds - wide, middle - wide / 2));
  return { start, end: start + wide };
}

/** `times` as wide; what lay at `at` stays where it was on the screen, or comes to the middle. */
export function zoomed({ start, end }: Part, times: number, at: number, seconds: number): Part {
  const wide = Math.min(seconds, Math.max(Math.min(LEAST, seconds), (end - start) * times));
  const inside = at >= start && at <= end;
  const share = inside ? (at - start) / (end - start) : 0.5;
  return placed(at - share * wide + wide / 2, wide, seconds);
}

export function panned({ start, end }: Part, by: number, seconds: number): Part {
  return placed((start + end) / 2 + by, end - start, seconds);
}

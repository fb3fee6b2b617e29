// One audio element plays everything: a moment, a whole track, a queue of moments.
import { signal } from "@preact/signals";
import { openAddress, type Query } from "../api/client";
import type { Hit } from "../api/types";
import { titleOf } from "../lib/format";
import { say } from "./app";

export interface Playing {
  hit: Hit;
  /** Where playing stops (the moment's end), or null to go on to the end of the track. */
  until: number | null;
}

export const audio = new Audio();
audio.preload = "auto";
/** What the player holds, playing or not. */
export const current = signal<Playing | null>(null);
export const playing = signal(false);
/** Seconds in the track. */
export const position = signal(0);
export const loop = signal(false);
/** The part of the current track that the user selected. */
export const selection = signal<{ start: number; end: number } | null>(null);
export const queue = signal<Hit[]>([]);

/** Seconds of the track at the start of what the element plays (a cut has its own zero). */
let offset = 0;
let cut = false;

function momentQuery(start: number, end: number): Query {
  return { format: "wav", start: start.toFixed(3), end: end.toFixed(3) };
}

async function load(hit: Hit, query: Query, from: number): Promise<void> {
  cut = "start" in query;
  offset = cut ? Number(query.start) : 0;
  const source = await openAddress("audio", hit.track, query);
  if (current.peek()?.hit.track !== hit.track) return;
  audio.src = source;
  if (!cut && from > 0) audio.currentTime = from;
  await audio.play().catch((error: Error) => {
    if (error.name === "NotAllowedError") say("The browser wants a click before it plays sound");
  });
}

/** Play a hit: its moment, or from `from` on to the end.  What was to come is forgotten. */
export function play(hit: Hit, from: number | null = null): void {
  queue.value = [];
  begin(hit, from);
}

function begin(hit: Hit, from: number | null = null): void {
  const start = from ?? hit.start ?? 0;
  const until = from === null ? hit.end : null;
  const same = current.peek()?.hit.track === hit.track && !cut && audio.src !== "";
  if (current.peek()?.hit.track !== hit.track) selection.value = null;
  current.value = { hit, until };
  position.value = start;
  if (same && audio.error === null) {
    audio.currentTime = start;
    void audio.play();
  } else void load(hit, {}, start).catch((error: Error) => say(error.message, { bad: true }));
}

/** Show a hit in the player without playing it. */
export function show(hit: Hit): void {
  if (current.peek()?.hit.track === hit.track) return;
  audio.pause();
  audio.removeAttribute("src");
  current.value = { hit, until: hit.end };
  position.value = hit.start ?? 0;
  selection.value = null;
}

export function playAll(hits: Hit[]): void {
  if (!hits[0]) return;
  play(hits[0]);
  queue.value = hits.slice(1);
}

export function toggle(): void {
  const now = current.peek();
  if (!now) return;
  if (!audio.paused) return audio.pause();
  const ended = now.until !== null && position.peek() >= now.until - 0.02;
  if (!audio.src || ended) begin(now.hit, ended ? null : position.peek() || null);
  else void audio.play();
}

export function seek(seconds: number): void {
  const now = current.peek();
  if (!now) return;
  const to = Math.max(0, seconds);
  current.value = { ...now, until: null };
  position.value = to;
  if (!audio.src) return;
  if (cut) begin(now.hit, to);
  else audio.currentTime = to;
}

/** Play the selected part of the current track. */
export function playSelection(): void {
  const now = current.peek();
  const part = selection.peek();
  if (!now || !part) return;
  play(now.hit, part.start);
  current.value = { hit: now.hit, until: part.end };
}

function next(): void {
  const [first, ...rest] = queue.peek();
  queue.value = rest;
  if (first) begin(first);
}

function follow(): void {
  const now = current.peek();
  if (!now) return;
  position.value = audio.currentTime + offset;
  if (now.until !== null && position.peek() >= now.until) {
    const part = selection.peek();
    if (loop.peek()) audio.currentTime = Math.max(0, (part?.start ?? now.hit.start ?? 0) - offset);
    else {
      audio.pause();
      if (queue.peek().length) next();
    }
  }
  if (!audio.paused) requestAnimationFrame(follow);
}

audio.addEventListener("play", () => {
  playing.value = true;
  requestAnimationFrame(follow);
});
audio.addEventListener("pause", () => (playing.value = false));
audio.addEventListener("ended", () => {
  playing.value = false;
  if (loop.peek() && current.peek()) play(current.peek()!.hit);
  else next();
});
audio.addEventListener("error", () => {
  const now = current.peek();
  if (!now || !audio.src) return;
  playing.value = false;
  if (cut) return say(`${titleOf(now.hit)} cannot be played`, { hint: "Is the file still there?", bad: true });
  // What the browser cannot decode, the server cuts and sends as wav.
  const start = position.peek();
  const end = now.until ?? Math.min(start + 30, now.hit.duration ?? start + 30);
  void load(now.hit, momentQuery(start, Math.max(end, start + 0.1)), start);
});

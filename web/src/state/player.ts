// One audio element plays everything: a moment, a selected part, a track, a list one after another.
import { computed, effect, signal } from "@preact/signals";
import { openAddress, type Query } from "../api/client";
import type { Hit } from "../api/types";
import { holdsNotes, titleOf } from "../lib/format";
import type { Part } from "../lib/window";
import { recall, remember, say } from "./app";
import { listed, selected } from "./search";

/** What of a track is played: the answer's moment, the selected part, or on to the track's end. */
export type Extent = "moment" | "selection" | "rest";

export interface Playing {
  hit: Hit;
  extent: Extent;
}

export const audio = new Audio();
audio.preload = "auto";
/** What the player holds, playing or not. */
export const current = signal<Playing | null>(null);
export const playing = signal(false);
/** Seconds in the track. */
export const position = signal(0);
export const loop = signal(false);
/** Whether the next answer plays when one has ended. */
export const playOn = signal<boolean>(recall("earmark.playon", false));
export const volume = signal<number>(recall("earmark.volume", 1));
/** The part of the current track that the user selected. */
export const selection = signal<Part | null>(null);
/** What plays one after another ("Play all"); empty when the list in view does. */
const sequence = signal<Hit[]>([]);
export const toCome = computed(() => {
  const at = placeIn(sequence.value, current.value?.hit);
  return at < 0 ? 0 : sequence.value.length - at - 1;
});

effect(() => remember("earmark.playon", JSON.stringify(playOn.value)));
effect(() => {
  audio.volume = volume.value ** 2; // nearer to how loud it is heard
  remember("earmark.volume", JSON.stringify(volume.value));
});

/** Seconds of the track at the start of what the element plays (a cut has its own zero). */
let offset = 0;
let cut = false;
/** How many sources are on their way: till then the element tells of what played before. */
let pending = 0;
/** Longest piece that is asked for of what a browser cannot decode. */
const PIECE = 30;

function placeIn(hits: Hit[], hit: Hit | undefined): number {
  return hits.findIndex((other) => other.track === hit?.track && other.start === hit.start);
}

/** From where to where it plays; without an end, to the end of the track. */
function bounds({ hit, extent }: Playing): { start: number; end: number | null } {
  const part = extent === "selection" ? selection.peek() : extent === "moment" ? hit : null;
  return { start: part?.start ?? 0, end: part?.end ?? null };
}

function pieceQuery(start: number, end: number): Query {
  return { format: "wav", start: start.toFixed(3), end: end.toFixed(3) };
}

async function load(hit: Hit, query: Query, from: number): Promise<void> {
  cut = "start" in query;
  offset = cut ? Number(query.start) : 0;
  pending += 1;
  const source = await openAddress("audio", hit.track, query).finally(() => (pending -= 1));
  if (current.peek()?.hit.track !== hit.track) return;
  audio.src = source;
  if (!cut && from > 0) audio.currentTime = from;
  await audio.play().catch((error: Error) => {
    if (error.name === "NotAllowedError") say("The browser wants a click before it plays sound");
  });
}

function failed(error: Error): void {
  say(error.message, { bad: true });
}

/** What the browser cannot decode, the server cuts and sends as wav, a piece at a time. */
function loadPiece(now: Playing, start: number): void {
  const { end } = bounds(now);
  const last = Math.min(end ?? Infinity, now.hit.duration ?? Infinity, start + PIECE);
  void load(now.hit, pieceQuery(start, Math.max(last, start + 0.1)), start).catch(failed);
}

/** Play a hit: its moment, or from `from` on to the end.  A list that played is left. */
export function play(hit: Hit, from: number | null = null): void {
  sequence.value = [];
  begin(hit, from === null ? "moment" : "rest", from ?? hit.start ?? 0);
}

function begin(hit: Hit, extent: Extent, start: number): void {
  const same = current.peek()?.hit.track === hit.track && audio.src !== "" && audio.error === null;
  if (current.peek()?.hit.track !== hit.track) selection.value = null;
  current.value = { hit, extent };
  position.value = start;
  if (same && cut) loadPiece(current.peek()!, start);
  else if (same) {
    audio.currentTime = start;
    void audio.play();
  } else void load(hit, {}, start).catch(failed);
}

/** Show a hit in the player without playing it. */
export function show(hit: Hit): void {
  if (current.peek()?.hit.track === hit.track) return;
  audio.pause();
  audio.removeAttribute("src");
  current.value = { hit, extent: "moment" };
  position.value = hit.start ?? 0;
  selection.value = null;
}

export function playAll(hits: Hit[]): void {
  if (!hits[0]) return;
  sequence.value = hits;
  begin(hits[0], "moment", hits[0].start ?? 0);
}

/** The answer after (or before) the one that plays; false where there is none. */
export function playNext(by: 1 | -1 = 1): boolean {
  const hits = sequence.peek().length ? sequence.peek() : listed.peek();
  const at = placeIn(hits, current.peek()?.hit) + by;
  const hit = hits[at];
  if (!hit) return false;
  begin(hit, "moment", hit.start ?? 0);
  const row = placeIn(listed.peek(), hit);
  if (row >= 0) selected.value = row;
  return true;
}

export function toggle(): void {
  const now = current.peek();
  if (!now) return;
  if (!audio.paused) return audio.pause();
  const part = selection.peek();
  const at = position.peek();
  if (part && (at < part.start || at >= part.end - 0.02)) return playSelection();
  const { start, end } = bounds(now);
  const ended = end !== null && at >= end - 0.02;
  if (!audio.src || ended) begin(now.hit, now.extent, ended ? start : at);
  else void audio.play();
}

export function seek(seconds: number): void {
  const now = current.peek();
  if (!now) return;
  const to = Math.max(0, Math.min(seconds, now.hit.duration ?? seconds));
  current.value = { ...now, extent: "rest" };
  position.value = to;
  if (!audio.src) return;
  if (cut) begin(now.hit, "rest", to);
  else audio.currentTime = to;
}

/** Play the selected part of the current track. */
export function playSelection(): void {
  const now = current.peek();
  const part = selection.peek();
  if (now && part) begin(now.hit, "selection", part.start);
}

/** What is played has come to its end. */
function ended(now: Playing): void {
  const { start } = bounds(now);
  if (loop.peek()) return begin(now.hit, now.extent, start);
  audio.pause();
  playing.value = false;
  if (toCome.peek() || (playOn.peek() && now.extent !== "selection")) playNext();
}

function look(): void {
  const now = current.peek();
  if (!now || pending || audio.paused || audio.seeking || audio.readyState === HTMLMediaElement.HAVE_NOTHING) return;
  position.value = audio.currentTime + offset;
  const { end } = bounds(now);
  if (end !== null && position.peek() >= end) ended(now);
}

function follow(): void {
  look();
  if (!audio.paused) requestAnimationFrame(follow);
}

audio.addEventListener("timeupdate", look); // in a tab that is not in view no picture is drawn
audio.addEventListener("play", () => {
  playing.value = true;
  requestAnimationFrame(follow);
});
audio.addEventListener("pause", () => (playing.value = false));
audio.addEventListener("ended", () => {
  const now = current.peek();
  if (!now || pending || !audio.ended) return;
  const at = audio.currentTime + offset;
  const last = bounds(now).end ?? now.hit.duration ?? at;
  if (cut && at < last - 0.1) loadPiece(now, at);
  else ended(now);
});
audio.addEventListener("error", () => {
  const now = current.peek();
  if (!now || !audio.src) return;
  playing.value = false;
  if (!cut) return loadPiece(now, position.peek());
  const hint = holdsNotes(now.hit.path) ? "It holds notes, not sound." : "Is the file still there, and the server running?";
  say(`${titleOf(now.hit)} cannot be played`, { hint, bad: true });
});

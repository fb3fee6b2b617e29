// What the user gathers: likes, dislikes, and a collection to export.  Kept by the browser.
import { effect, signal } from "@preact/signals";
import { api } from "../api/client";
import type { Hit } from "../api/types";
import { count, fileName, titleOf } from "../lib/format";
import { complain, recall, remember, say } from "./app";
import { formatMoment } from "../lib/address";
import { momentOf } from "./search";

export const crate = signal<Hit[]>(recall<Hit[]>("earmark.crate", []));
export const likes = signal<string[]>([]);
export const unlikes = signal<string[]>([]);
effect(() => remember("earmark.crate", JSON.stringify(crate.value)));

const keyOf = (hit: Hit) => formatMoment(momentOf(hit));

export function inCrate(hit: Hit): boolean {
  return crate.value.some((other) => keyOf(other) === keyOf(hit));
}

export function gather(hits: Hit[]): void {
  const had = crate.value;
  const fresh = hits.filter((hit) => !inCrate(hit));
  crate.value = [...had, ...fresh].slice(0, 2000);
  say(`${count(fresh.length, "sound")} added to the collection`, { undo: fresh.length ? () => (crate.value = had) : null });
}

export function toggleCrate(hit: Hit): void {
  if (!inCrate(hit)) return gather([hit]);
  const had = crate.value;
  crate.value = had.filter((other) => keyOf(other) !== keyOf(hit));
  say(`${titleOf(hit)} taken out of the collection`, { undo: () => (crate.value = had) });
}

export function emptyCrate(): void {
  const had = crate.value;
  crate.value = [];
  say(`${count(had.length, "sound")} taken out of the collection`, { undo: () => (crate.value = had) });
}

export function judge(hit: Hit, good: boolean): void {
  const key = keyOf(hit);
  const [to, other] = good ? [likes, unlikes] : [unlikes, likes];
  const had = to.value.includes(key);
  to.value = had ? to.value.filter((k) => k !== key) : [...to.value, key];
  other.value = other.value.filter((k) => k !== key);
  say(`${titleOf(hit)}: ${had ? "no judgement" : good ? "liked" : "not this"}`);
}

export function forgetLikes(): void {
  const [good, bad] = [likes.value, unlikes.value];
  [likes.value, unlikes.value] = [[], []];
  const undo = () => {
    [likes.value, unlikes.value] = [good, bad];
  };
  say("Likes forgotten", { undo });
}

export function judged(hit: Hit): "like" | "unlike" | "" {
  const key = keyOf(hit);
  return likes.value.includes(key) ? "like" : unlikes.value.includes(key) ? "unlike" : "";
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export async function exportTracks(tracks: string[], format: "m3u" | "csv" | "json", name: string): Promise<void> {
  try {
    save(await api.exported([...new Set(tracks)], format), `${name}.${format}`);
  } catch (error) {
    complain(error);
  }
}

/** How a file is called that holds this sound, or this moment of it. */
export function nameOf(hit: Hit): string {
  if (hit.start === null || hit.end === null) return fileName(hit.path);
  const [from, to] = [hit.start, hit.end].map((t) => t.toFixed(2));
  return `${titleOf(hit)} ${from}-${to}.wav`.replace(/[\\/:*?"<>|\u0000-\u001f]/g, "-").slice(-120);
}

/** Let a sound be dragged out of the browser as a file (Chromium's DownloadURL). */
export function dragOut(event: DragEvent, hit: Hit, address: string): void {
  const url = new URL(address, location.href).href;
  const type = hit.start === null ? "application/octet-stream" : "audio/wav";
  event.dataTransfer?.setData("DownloadURL", `${type}:${nameOf(hit).replaceAll(":", "-")}:${url}`);
  event.dataTransfer?.setData("text/uri-list", url);
  if (event.dataTransfer) event.dataTransfer.effectAllowed = "copy";
}

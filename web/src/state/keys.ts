// Keys that work everywhere outside of fields.
import type { Hit } from "../api/types";
import { crateOpen, help, nextTheme, recording, say, shortcuts, undoLast } from "./app";
import { judge, toggleCrate } from "./crate";
import { audio, current, loop, play, playing, playNext, playOn, position, seek, selection, toggle, volume } from "./player";
import { go } from "./route";
import { listed, selected } from "./search";
import { mark, moreLikeThis } from "../ui/Dock";
import { moreLike, playOrPause } from "../ui/Row";
import { surprise } from "../views/Head";
import { EMPTY, type View } from "../lib/address";

export const KEYS: { keys: string[]; what: string }[] = [
  { keys: ["/"], what: "to the search box" },
  { keys: ["j", "k"], what: "next, previous answer" },
  { keys: ["Space"], what: "play or pause the selected answer" },
  { keys: ["Enter"], what: "play its moment from the start" },
  { keys: ["n", "p"], what: "play the next, the previous answer" },
  { keys: ["a"], what: "play on after each answer" },
  { keys: ["m"], what: "more like it, or like the selected part" },
  { keys: ["l", "u"], what: "like, not this" },
  { keys: ["c"], what: "into the collection, or out of it" },
  { keys: ["[", "]"], what: "the selected part starts, ends here" },
  { keys: ["←", "→"], what: "one second back, forward" },
  { keys: ["o"], what: "repeat" },
  { keys: ["+", "-"], what: "louder, softer" },
  { keys: ["s"], what: "save the moment, or the selected part, as a file" },
  { keys: ["v"], what: "record with the microphone" },
  { keys: ["r"], what: "surprise me" },
  { keys: ["1", "–", "5"], what: "search, map, playlist, duplicates, library" },
  { keys: ["z"], what: "undo" },
  { keys: ["b"], what: "show the collection" },
  { keys: ["t"], what: "light or dark" },
  { keys: ["?"], what: "these keys" },
  { keys: ["Esc"], what: "close, stop" },
];

const VIEWS: View[] = ["search", "map", "playlist", "duplicates", "library"];

function typing(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  if (!element?.closest) return false;
  const input = element.closest("input, textarea, select, [role=application]");
  if (!input) return false;
  return !["radio", "checkbox"].includes((input as HTMLInputElement).type);
}

function onSelected(run: (hit: Hit) => void): void {
  const hit = listed.value[selected.value] ?? current.value?.hit;
  if (hit) run(hit);
}

function step(by: number): void {
  const n = document.querySelectorAll("[data-row]").length;
  if (!n) return;
  selected.value = Math.max(0, Math.min(n - 1, selected.value + by));
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>(`[data-row="${selected.value}"] .play`)?.focus({ preventScroll: true }),
  );
}

function space(event: KeyboardEvent): boolean {
  if ((event.target as HTMLElement).closest("button:not(.play), a, summary, label, input")) return false;
  if (selected.value >= 0) onSelected(playOrPause);
  else toggle();
  return true;
}

function more(): void {
  if (selection.value) return moreLikeThis();
  onSelected(moreLike);
}

function louder(by: number): void {
  volume.value = Math.min(1, Math.max(0, Math.round(10 * (volume.value + by)) / 10));
  say(`Volume ${Math.round(100 * volume.value)} %`);
}

function escape(): boolean {
  if (crateOpen.value) crateOpen.value = false;
  else if (selection.value) selection.value = null;
  else if (playing.value) audio.pause();
  else return false;
  return true;
}

const ACTIONS: Record<string, (event: KeyboardEvent) => boolean | void> = {
  "/": () => document.getElementById("q")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: (event) => (onRow(event) ? step(1) : false),
  ArrowUp: (event) => (onRow(event) ? step(-1) : false),
  " ": space,
  Enter: (event) => {
    if (!onRow(event)) return false;
    const hit = listed.value[selected.value];
    if (!hit) return false;
    play(hit);
    return true;
  },
  m: more,
  l: () => onSelected((hit) => judge(hit, true)),
  u: () => onSelected((hit) => judge(hit, false)),
  c: () => onSelected(toggleCrate),
  "[": () => mark("start"),
  "]": () => mark("end"),
  ArrowLeft: () => (current.value ? seek(position.value - 1) : false),
  ArrowRight: () => (current.value ? seek(position.value + 1) : false),
  o: () => void (loop.value = !loop.value),
  n: () => playNext(),
  p: () => playNext(-1),
  a: () => {
    playOn.value = !playOn.value;
    say(playOn.value ? "The next answer plays by itself" : "Playing ends with each answer");
  },
  "+": () => louder(0.1),
  "=": () => louder(0.1),
  "-": () => louder(-0.1),
  s: () => (document.querySelector<HTMLElement>(".dock .drag") ?? document.querySelector<HTMLElement>(".row.selected .drag"))?.click(),
  z: undoLast,
  v: () => void (recording.value = "search"),
  r: surprise,
  b: () => void (crateOpen.value = !crateOpen.value),
  t: nextTheme,
  "?": () => void (help.value = true),
  Escape: escape,
};

function onRow(event: KeyboardEvent): boolean {
  return Boolean((event.target as HTMLElement).closest("[data-row] .play"));
}

export function watchKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    if (!shortcuts.value && event.key.length === 1 && event.key !== " ") return;
    const view = VIEWS[Number(event.key) - 1];
    const action = view ? () => go({ ...EMPTY, view }) : ACTIONS[event.key];
    if (action && action(event) !== false) event.preventDefault();
  });
}

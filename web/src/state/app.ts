// What is known of the library, and what the page says.
import { computed, effect, signal } from "@preact/signals";
import { api, ApiError, token, unreachable } from "../api/client";
import type { Ability, Facet, LibraryFacts } from "../api/types";
import { whereOf } from "../lib/where";
import { route } from "./route";

export const library = signal<LibraryFacts | null>(null);
/** Counts the changes of the library: what was asked before is asked anew. */
export const edition = signal(0);
export const libraryError = signal<ApiError | null>(null);
export const facets = signal<Facet[]>([]);
export const where = computed(() => whereOf(route.value.filters, route.value.where));

export function can(ability: Ability): boolean {
  return library.value?.can[ability] ?? false;
}

interface Message {
  text: string;
  hint: string;
  bad: boolean;
  /** Takes back what was done. */
  undo: (() => void) | null;
}

/** Said once to a screen reader, and shown for a while. */
export const message = signal<Message | null>(null);
let fading = 0;

export function say(text: string, { hint = "", bad = false, undo = null }: Partial<Message> = {}): void {
  message.value = { text, hint, bad, undo };
  clearTimeout(fading);
  fading = window.setTimeout(() => (message.value = null), bad || undo ? 12000 : 4000);
}

/** Take back what was just done, if it can be. */
export function undoLast(): void {
  const undo = message.peek()?.undo;
  if (!undo) return say("Nothing to undo");
  undo();
  say("Undone");
}

export function complain(error: unknown): void {
  if ((error as Error).name === "AbortError") return;
  if (error instanceof ApiError) say(error.message, { hint: error.hint, bad: true });
  else say(`Something went wrong: ${(error as Error).message}`, { bad: true });
}

export async function loadLibrary(): Promise<void> {
  try {
    library.value = await api.library();
    libraryError.value = null;
  } catch (error) {
    if (error instanceof ApiError) libraryError.value = error;
    else throw error;
  }
}

/** How often a server that is gone is looked for (ms). */
const RETRY = 3000;
let looking = 0;
effect(() => {
  clearInterval(looking);
  if (unreachable.value) looking = window.setInterval(() => void loadLibrary(), RETRY);
});

let asking: AbortController | undefined;
effect(() => {
  const filter = where.value;
  void token.value;
  void edition.value;
  if (unreachable.value) return;
  asking?.abort();
  const mine = (asking = new AbortController());
  api
    .facets(filter, mine.signal)
    .then((found) => (facets.value = found))
    .catch(() => undefined); // filters are an offer: without them the rest works
});

export type Theme = "auto" | "light" | "dark";

function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser without storage forgets; nothing else depends on it.
  }
}

export function recall<T>(key: string, fallback: T): T {
  try {
    return JSON.parse(remembered(key) ?? "") as T;
  } catch {
    return fallback;
  }
}

export const theme = signal<Theme>(recall<Theme>("earmark.theme", "auto"));
export const shortcuts = signal<boolean>(recall("earmark.shortcuts", true));
/** What is drawn on a canvas is drawn again when this changes. */
export const paint = signal(0);

effect(() => {
  if (theme.value === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme.value);
  remember("earmark.theme", JSON.stringify(theme.value));
  paint.value = paint.peek() + 1;
});
effect(() => remember("earmark.shortcuts", JSON.stringify(shortcuts.value)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (paint.value += 1));

export function nextTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = theme.value === "auto" ? (dark ? "dark" : "light") : theme.value;
  theme.value = now === "dark" ? "light" : "dark";
  say(`${theme.value === "dark" ? "Dark" : "Light"} theme`);
}

export const help = signal(false);
export const crateOpen = signal(false);
export const recording = signal<"" | "search" | "identify" | "hum">("");

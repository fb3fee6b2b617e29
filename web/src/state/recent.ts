// The words that were searched for last, kept by the browser.
import { effect, signal } from "@preact/signals";
import { recall, remember, say } from "./app";

const MOST = 8;

export const recent = signal<string[]>(recall<string[]>("earmark.recent", []));
effect(() => remember("earmark.recent", JSON.stringify(recent.value)));

export function remind(text: string): void {
  if (text) recent.value = [text, ...recent.value.filter((other) => other !== text)].slice(0, MOST);
}

export function forget(): void {
  const had = recent.value;
  recent.value = [];
  say("Searches forgotten", { undo: () => (recent.value = had) });
}

/** Notes of the server that were read, and closed. */
export const hushed = signal<string[]>(recall<string[]>("earmark.hushed", []));
effect(() => remember("earmark.hushed", JSON.stringify(hushed.value.slice(-20))));

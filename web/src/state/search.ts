// The question of the address, and its answer.
import { effect, signal } from "@preact/signals";
import { api, ApiError, token, unreachable, type Call, type Query } from "../api/client";
import type { Hit, TagAnswer } from "../api/types";
import { edition, library, libraryError, where } from "./app";
import { aspectText } from "../lib/aspects";
import { clipOf } from "./clips";
import { parseMoment, type Route } from "../lib/address";
import { route } from "./route";

export type Kind = "browse" | "search" | "identify" | "hum" | "tag" | "random" | "recommend";

export interface Found {
  kind: Kind;
  state: "loading" | "done" | "error";
  hits: Hit[];
  /** How many there are in all, when paging. */
  total: number;
  tags: TagAnswer | null;
  notes: string[];
  error: ApiError | null;
  seconds: number;
}

const NOTHING: Found = {
  kind: "browse",
  state: "loading",
  hits: [],
  total: 0,
  tags: null,
  notes: [],
  error: null,
  seconds: 0,
};
export const PAGE = 25;
export const found = signal<Found>(NOTHING);
/** The hits of the list in view, whichever view it is: what keys act on. */
export const listed = signal<Hit[]>([]);
/** The selected row; -1 when none is. */
export const selected = signal(-1);

export function kindOf(asked: Route): Kind {
  if (asked.clip && asked.mode !== "search") return asked.mode;
  if (asked.mode === "random") return "random";
  const examples = asked.like.length + asked.unlike.length > 0;
  if (asked.mode === "recommend" && examples) return "recommend";
  return asked.text || asked.clip || asked.moment || examples ? "search" : "browse";
}

/** The tracks of moments: what recommends knows whole tracks only. */
function whole(moments: string[]): string[] {
  return [...new Set(moments.map((one) => parseMoment(one).track))];
}

function question(asked: Route, filter: string): { call: Call; query: Query } {
  const like = asked.moment ? [asked.moment, ...asked.like] : asked.like;
  const common = { like, unlike: asked.unlike, where: filter, k: asked.k };
  const example = asked.clip || like.length > 0;
  const aspect = example ? aspectText(asked.aspects, library.peek()?.aspects ?? []) : "";
  const search = { ...common, text: asked.text, by: asked.by, aspect, explain: aspect ? true : "" };
  switch (kindOf(asked)) {
    case "identify":
      return { call: "identify", query: { k: 5, where: filter } };
    case "hum":
      return { call: "hum", query: { k: 10, where: filter } };
    case "random":
      return { call: "random", query: { k: asked.k, seed: asked.seed, where: filter } };
    case "recommend":
      return {
        call: "recommend",
        query: { ...common, like: whole(like), unlike: whole(asked.unlike) },
      };
    default:
      return asked.clip
        ? { call: "searchClip", query: search }
        : { call: "search", query: { ...search, exclude_self: like.length && !asked.moment ? true : "" } };
  }
}

const LOST = new ApiError({
  title: "The clip of this search is gone",
  detail: "The clip of this search is gone: recordings stay in the tab that made them",
  hint: "Drop the file or record again.",
  status: 410,
});

async function answer(asked: Route, filter: string, abort: AbortSignal): Promise<Partial<Found>> {
  const kind = kindOf(asked);
  if (kind === "browse") {
    const page = await api.tracks({ where: filter, sort: asked.sort, limit: PAGE, offset: 0 }, abort);
    return { hits: page.tracks.map(asHit), total: page.total };
  }
  const clip = asked.clip ? clipOf(asked.clip) : undefined;
  if (asked.clip && !clip) throw LOST;
  if (kind === "tag") return { tags: await api.tag(clip!.blob, abort) };
  const { call, query } = question(asked, filter);
  const { hits, notes } = await api.answer(call, { query, ...(clip && { body: clip.blob }), signal: abort });
  return { hits, total: hits.length, notes: notes ?? [] };
}

export function asHit(sound: Omit<Hit, "score" | "start" | "end" | "by">): Hit {
  return { ...sound, score: 0, start: null, end: null, by: "" };
}

let asking: AbortController | undefined;

async function run(asked: Route, filter: string): Promise<void> {
  asking?.abort();
  const mine = (asking = new AbortController());
  const kind = kindOf(asked);
  const began = performance.now();
  // Old answers stay while new ones of the same kind come; they must never answer another question.
  const before = found.peek();
  const stays = before.kind === kind && kind !== "identify" && kind !== "hum";
  found.value = { ...(stays ? before : NOTHING), kind, state: "loading", error: null };
  const done = (part: Partial<Found>) => {
    if (mine.signal.aborted) return;
    const seconds = (performance.now() - began) / 1000;
    found.value = { ...NOTHING, kind, state: "done", seconds, ...part };
    selected.value = -1;
  };
  try {
    done(await answer(asked, filter, mine.signal));
  } catch (error) {
    if (error instanceof ApiError) done({ state: "error", error });
    else if ((error as Error).name !== "AbortError") throw error;
  }
}

let last = "";
export function watchSearch(): void {
  effect(() => {
    const asked = route.value;
    const filter = where.value;
    const known = library.value !== null || libraryError.value !== null;
    if (!known && Object.keys(asked.aspects).length) return; // which aspects there are is not known yet
    if (asked.view !== "search") return;
    const { view: _view, from: _from, to: _to, length: _length, ...relevant } = asked;
    const key = JSON.stringify([relevant, token.value, edition.value]);
    if (key === last) return;
    last = key;
    void run(asked, filter);
  });
  // What failed while the server was gone is asked again when it is back.
  effect(() => {
    if (!unreachable.value && found.peek().error?.status === 0) again();
  });
}

/** Ask the same again: after an error, or after the library changed. */
export function again(): void {
  void run(route.peek(), where.peek());
}

export async function more(): Promise<void> {
  const now = found.peek();
  const page = await api.tracks({
    where: where.peek(),
    sort: route.peek().sort,
    limit: PAGE,
    offset: now.hits.length,
  });
  if (found.peek() === now)
    found.value = { ...now, hits: [...now.hits, ...page.tracks.map(asHit)], total: page.total };
}

export function momentOf(hit: Hit): { track: string; start: number | null; end: number | null } {
  return { track: hit.track, start: hit.start, end: hit.end };
}


// The one place that talks to the server.  Every path it calls stands in paths.json, which a test
// compares with the server's OpenAPI document.
import { signal } from "@preact/signals";
import PATHS from "./paths.json";
import type {
  Answer,
  DuplicateGroup,
  Facet,
  Job,
  LibraryFacts,
  MapAnswer,
  Page,
  Peaks,
  Problem,
  Sound,
  TagAnswer,
} from "./types";

export type Call = keyof typeof PATHS;
type Value = string | number | boolean | null | undefined;
export type Query = Record<string, Value | Value[]>;

/** Kept in memory only; asked for when the server says 401. */
export const token = signal("");
export const tokenWanted = signal(false);
/** Whether the last call reached nobody. */
export const unreachable = signal(false);
let ticket: { text: string; until: number } | null = null;

export class ApiError extends Error {
  readonly status: number;
  readonly hint: string;
  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.status = problem.status;
    this.hint = problem.hint ?? "";
  }
}

/** The address of a call; empty parts of the query are left out. */
export function address(call: Call, query: Query = {}, id = ""): string {
  const [, path] = PATHS[call] as [string, string, string[]];
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== null && one !== undefined && one !== "") parts.append(name, String(one));
  const text = parts.toString();
  return path.replace("{id}", encodeURIComponent(id)) + (text ? `?${text}` : "");
}

async function problem(response: Response): Promise<ApiError> {
  const fallback: Problem = {
    title: `The server answered ${response.status}`,
    status: response.status,
    hint: response.status >= 500 ? "Its log says more." : "",
  };
  const said = await response.json().catch(() => ({}));
  return new ApiError({ ...fallback, ...said, status: response.status });
}

async function request(
  call: Call,
  { query, id, body, signal: abort }: Asked = {},
): Promise<Response> {
  const [method] = PATHS[call] as [string, string, string[]];
  const headers: Record<string, string> = { Accept: "application/json" };
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  if (body instanceof Blob) headers["Content-Type"] = body.type || "application/octet-stream";
  else if (body) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address(call, query, id), {
      method,
      headers,
      body: body instanceof Blob ? body : body ? JSON.stringify(body) : null,
      signal: abort ?? null,
    });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    unreachable.value = true;
    throw new ApiError({
      title: "The server cannot be reached",
      status: 0,
      hint: "Is `earmark serve` still running?",
    });
  }
  unreachable.value = false;
  if (response.ok) return response;
  if (response.status === 401) tokenWanted.value = true;
  throw await problem(response);
}

export interface Asked {
  query?: Query;
  id?: string;
  body?: Blob | object;
  signal?: AbortSignal | undefined;
}

async function json<T>(call: Call, asked: Asked = {}): Promise<T> {
  return (await (await request(call, asked)).json()) as T;
}

/** Ids are text in the page, whatever a store counts with. */
function named<T extends { track: string }>(sounds: T[]): T[] {
  return sounds.map((sound) => ({ ...sound, track: String(sound.track) }));
}

function numbered(id: string): string | number {
  return /^\d+$/.test(id) ? Number(id) : id;
}

async function answer(call: Call, asked: Asked): Promise<Answer> {
  const said = await json<Answer>(call, asked);
  return { ...said, hits: named(said.hits) };
}

export const api = {
  library: () => json<LibraryFacts>("library"),
  facets: async (where: string, abort?: AbortSignal) =>
    (await json<{ fields: Facet[] }>("facets", { query: { where }, signal: abort })).fields,
  answer,
  tag: (clip: Blob, abort?: AbortSignal) =>
    json<TagAnswer>("tag", { body: clip, signal: abort }),
  tracks: async (query: Query, abort?: AbortSignal) => {
    const page = await json<Page>("tracks", { query, signal: abort });
    return { ...page, tracks: named(page.tracks) };
  },
  track: async (id: string) => named([await json<Sound>("track", { id })])[0]!,
  peaks: (id: string, query: Query, abort?: AbortSignal) =>
    json<Peaks>("peaks", { id, query, signal: abort }),
  duplicates: async (abort?: AbortSignal) => {
    const { groups } = await json<{ groups: DuplicateGroup[] }>("duplicates", { signal: abort });
    return groups.map((group) => ({
      tracks: named(group.tracks),
      evidence: group.evidence.map((e) => ({ ...e, a: String(e.a), b: String(e.b) })),
    }));
  },
  map: async () => {
    const answer = await json<MapAnswer>("map");
    answer.points.track = answer.points.track.map(String);
    return answer;
  },
  exported: async (tracks: string[], format: string) =>
    (
      await request("exports", { body: { tracks: tracks.map(numbered), format } })
    ).blob(),
  jobs: async () => {
    const said = await json<Job[] | { jobs: Job[] }>("jobs");
    return Array.isArray(said) ? said : said.jobs;
  },
  makeMap: () => json<Job>("makeMap", { body: {} }),
  startJob: (root: string) => json<Job>("startJob", { body: { root } }),
  stopJob: (id: string) => request("stopJob", { id }),
  jobEvents: (id: string) => request("jobEvents", { id }),
};

/** An address that an element opens by itself (sound, picture): with a ticket where a token is needed. */
export async function openAddress(call: "audio" | "spectrogram", id: string, query: Query = {}): Promise<string> {
  if (token.value && (!ticket || ticket.until < Date.now())) {
    const made = await json<{ ticket: string; expires: number }>("tickets");
    ticket = { text: made.ticket, until: 1000 * (made.expires - 10) };
  }
  return address(call, { ...query, ticket: token.value ? ticket?.text : "" }, id);
}

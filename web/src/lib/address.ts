// What the page shows is written in its address: shareable, and the back button works.
//   /?q=rain&by=clap&like=12%231.5-3&f.genre=jazz&a.pitch=0.5      a search
//   /?moment=12%231.5-3                                            a link to a hit
//   /?view=map                                                     another view
import type { Filters } from "./where";

export type View = "search" | "map" | "playlist" | "duplicates" | "library";
export type Mode = "search" | "identify" | "hum" | "tag" | "random" | "recommend";

export interface Route {
  view: View;
  mode: Mode;
  text: string;
  by: string;
  /** The order of all sounds: a field of the catalogue, "-" before it for the other way round. */
  sort: string;
  like: string[];
  unlike: string[];
  filters: Filters;
  where: string;
  aspects: Record<string, number>;
  k: number;
  /** A clip kept in this tab's memory. */
  clip: string;
  /** The moment whose link this is. */
  moment: string;
  from: string;
  to: string;
  length: number;
  seed: string;
}

export const EMPTY: Route = {
  view: "search",
  mode: "search",
  text: "",
  by: "",
  sort: "",
  like: [],
  unlike: [],
  filters: {},
  where: "",
  aspects: {},
  k: 20,
  clip: "",
  moment: "",
  from: "",
  to: "",
  length: 12,
  seed: "",
};

const VIEWS: View[] = ["search", "map", "playlist", "duplicates", "library"];
const MODES: Mode[] = ["search", "identify", "hum", "tag", "random", "recommend"];

function whole(text: string | null, fallback: number, most: number): number {
  const n = Number.parseInt(text ?? "", 10);
  return n > 0 ? Math.min(n, most) : fallback;
}

export function parse(search: string): Route {
  const q = new URLSearchParams(search);
  const filters: Filters = {};
  const aspects: Record<string, number> = {};
  for (const [name, value] of q) {
    if (name.startsWith("f.")) (filters[name.slice(2)] ??= []).push(value);
    if (name.startsWith("a.") && Number.isFinite(Number(value)))
      aspects[name.slice(2)] = Math.min(2, Math.max(-2, Number(value)));
  }
  const text = (name: string) => q.get(name) ?? "";
  return {
    view: VIEWS.find((v) => v === q.get("view")) ?? "search",
    mode: MODES.find((m) => m === q.get("mode")) ?? "search",
    text: text("q"),
    by: text("by"),
    sort: text("sort"),
    like: q.getAll("like"),
    unlike: q.getAll("unlike"),
    filters,
    where: text("where"),
    aspects,
    k: whole(q.get("k"), EMPTY.k, 200),
    clip: text("clip"),
    moment: text("moment"),
    from: text("from"),
    to: text("to"),
    length: whole(q.get("length"), EMPTY.length, 100),
    seed: text("seed"),
  };
}

export function format(route: Route): string {
  const q = new URLSearchParams();
  const put = (name: string, value: string | number, empty: string | number = "") => {
    if (value !== empty) q.append(name, String(value));
  };
  put("view", route.view, EMPTY.view);
  put("mode", route.mode, EMPTY.mode);
  put("q", route.text);
  put("by", route.by);
  put("sort", route.sort);
  for (const one of route.like) put("like", one);
  for (const one of route.unlike) put("unlike", one);
  for (const [name, values] of Object.entries(route.filters))
    for (const value of values) put(`f.${name}`, value);
  put("where", route.where);
  for (const [name, weight] of Object.entries(route.aspects)) put(`a.${name}`, weight);
  put("k", route.k, EMPTY.k);
  put("clip", route.clip);
  put("moment", route.moment);
  put("from", route.from);
  put("to", route.to);
  put("length", route.length, EMPTY.length);
  put("seed", route.seed);
  const text = q.toString();
  return text ? `/?${text}` : "/";
}

export interface Moment {
  track: string;
  start: number | null;
  end: number | null;
}

/** "12#1.5-3" <-> a moment; without times, the whole track. */
export function parseMoment(text: string): Moment {
  const match = /^(.*)#(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(text);
  if (!match) return { track: text, start: null, end: null };
  return { track: match[1]!, start: Number(match[2]), end: Number(match[3]) };
}

export function formatMoment({ track, start, end }: Moment): string {
  if (start === null || end === null || end <= start) return track;
  const short = (t: number) => String(Math.round(t * 1000) / 1000);
  return `${track}#${short(start)}-${short(end)}`;
}

/** The route that a pasted text links to, if it is a link to this page. */
export function linked(text: string, origin: string): Route | null {
  try {
    const url = new URL(text.trim());
    return url.origin === origin && url.pathname === "/" && url.search ? parse(url.search) : null;
  } catch {
    return null;
  }
}

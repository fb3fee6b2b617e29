// What the server answers, as the page uses it (docs: /docs).

export interface Problem {
  title: string;
  status: number;
  detail?: string;
  hint?: string;
}

export interface Sound {
  track: string;
  path: string;
  title?: string | null;
  artist?: string | null;
  duration?: number | null;
  tags?: Record<string, unknown>;
}

export interface Contour {
  times: number[];
  query: (number | null)[];
  target: (number | null)[];
}

export interface Hit extends Sound {
  score: number | null;
  start: number | null;
  end: number | null;
  query_start?: number | null;
  query_end?: number | null;
  by: string;
  /** How alike both are in each aspect that was weighed. */
  aspects?: Record<string, number | null>;
  confidence?: number | null;
  key_shift?: number | null;
  tempo_ratio?: number | null;
  contour?: Contour | null;
}

export interface Answer {
  query: Record<string, unknown>;
  hits: Hit[];
  /** What the server has to say about how it answered. */
  notes?: string[];
}

export interface EncoderFacts {
  name: string;
  kind?: string;
  tracks?: number;
  rows?: number;
  bytes?: number;
}

export type Ability =
  "text" | "audio" | "identify" | "hum" | "tag" | "recommend" | "playlist" | "map" | "duplicates";

export interface LibraryFacts {
  name: string;
  tracks: number;
  seconds: number;
  encoders: EncoderFacts[];
  can: Partial<Record<Ability, boolean>>;
  aspects: string[];
  roots: string[];
  read_only: boolean;
  failures?: number;
  /** What would make the library answer more. */
  advice?: string[];
}

export interface Facet {
  name: string;
  type?: "text" | "number" | "mixed";
  distinct?: number;
  min?: number;
  max?: number;
  values: { value: string | number | null; count: number }[];
}

export interface Page {
  total: number;
  limit: number;
  offset: number;
  tracks: Sound[];
}

export interface Peaks {
  duration: number;
  start: number;
  end: number;
  points: number;
  min: number[];
  max: number[];
}

export interface TagScore {
  label: string;
  score: number | null;
}

export interface TagAnswer {
  tags: TagScore[];
  moments?: { start: number; end: number; tags: TagScore[] }[];
}

export interface Evidence {
  a: string;
  b: string;
  kind: string;
  confidence?: number | null;
  a_start?: number | null;
  a_end?: number | null;
  b_start?: number | null;
  b_end?: number | null;
}

export interface DuplicateGroup {
  tracks: (Sound & { keep?: boolean })[];
  evidence: Evidence[];
}

export interface MapAnswer {
  points: {
    track: string[];
    x: number[];
    y: number[];
    cluster?: (number | null)[];
    start?: (number | null)[];
    end?: (number | null)[];
  };
  /** What says which sounds are near. */
  encoders?: Record<string, string>;
  /** Sounds that are not on it, be it that they came later or have nothing to be placed by. */
  missing?: number;
  clusters?: { id: number; name: string; x: number; y: number; size: number }[];
}

export interface Job {
  id: string;
  /** index or map */
  kind?: string;
  root: string;
  /** queued, running, done, failed or cancelled */
  state: string;
  progress?: Record<string, unknown> | null;
  report?: { failed?: { path: string; error: string }[]; added?: number; [more: string]: unknown } | null;
  error?: string | null;
}

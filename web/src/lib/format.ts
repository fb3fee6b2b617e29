// How times, sizes and names are written.

/** Seconds as 0:07.5, 3:02 or 1:02:03; tenths only below a minute when asked for. */
export function clock(seconds: number | null | undefined, tenths = false): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const ten = Math.max(0, tenths ? Math.round(seconds * 10) / 10 : Math.floor(seconds));
  const h = Math.floor(ten / 3600);
  const m = Math.floor((ten % 3600) / 60);
  const s = ten % 60;
  const sec = tenths ? s.toFixed(1).padStart(4, "0") : String(s).padStart(2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${sec}` : `${m}:${sec}`;
}

/** How long a sound is: "0.05 s", "7.2 s", then as a clock says it. */
export function length(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  return seconds < 10 ? `${seconds.toFixed(seconds < 0.1 ? 2 : 1)} s` : clock(seconds);
}

/** Seconds as "4.9 hours", "12 minutes", "31 seconds". */
export function span(seconds: number): string {
  if (seconds >= 5400) return `${(seconds / 3600).toFixed(1)} hours`;
  if (seconds >= 90) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds)} seconds`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

export function percent(share: number): string {
  const value = share * 100;
  return value > 99 && value < 100 ? "> 99 %" : `${Math.round(value)} %`;
}

export function fileName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1) || path;
}

/** The last folders of a path, the rest as an ellipsis. */
export function folder(path: string, keep = 2): string {
  const parts = path.split("/").slice(0, -1).filter(Boolean);
  return (parts.length > keep ? "… / " : "") + parts.slice(-keep).join(" / ");
}

interface Named {
  path: string;
  title?: string | null;
  artist?: string | null;
  tags?: Record<string, unknown>;
}

/** A tag that is a text; tags may be changed in the library, columns are what the file says. */
function text(sound: Named, tag: string): string {
  const value = sound.tags?.[tag];
  return typeof value === "string" ? value : "";
}

/** The title of a sound, or the name of its file without the suffix. */
export function titleOf(sound: Named): string {
  return text(sound, "title") || sound.title || fileName(sound.path).replace(/\.[a-z0-9]{2,5}$/i, "");
}

/** Whose it is, else where it lies. */
export function whence(sound: Named): string {
  return text(sound, "artist") || sound.artist || folder(sound.path);
}

/** Whether a file holds notes: what can be found by humming, but has no sound to play. */
export function holdsNotes(path: string): boolean {
  return /\.(midi?|kar|rmi|abc)$/i.test(path);
}

interface Extent {
  start: number | null;
  end: number | null;
  duration?: number | null | undefined;
}

/** Whether a moment is (all but) the whole sound. */
export function isWhole({ start, end, duration }: Extent): boolean {
  if (start === null || end === null) return true;
  return duration ? end - start >= 0.98 * duration : false;
}

export function moment(start: number | null, end: number | null): string {
  if (start === null || end === null) return "";
  if (end - start < 0.2) return `${start.toFixed(2)} – ${end.toFixed(2)} s`;
  const short = end - start < 10 || end < 60;
  return `${clock(start, short)} – ${clock(end, short)}`;
}

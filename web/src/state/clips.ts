// Clips that were dropped, chosen or recorded.  They live in this tab only.
import { can, say } from "./app";
import type { Ability } from "../api/types";
import type { Mode } from "../lib/address";
import { ask } from "./route";

export interface Clip {
  id: string;
  name: string;
  blob: Blob;
  url: string;
}

const clips = new Map<string, Clip>();
let made = 0;

export function clipOf(id: string): Clip | undefined {
  return clips.get(id);
}

export function keep(blob: Blob, name: string): Clip {
  made += 1;
  const clip = { id: `clip-${Date.now().toString(36)}-${made}`, name, blob, url: URL.createObjectURL(blob) };
  clips.set(clip.id, clip);
  for (const old of [...clips.keys()].slice(0, -20)) {
    URL.revokeObjectURL(clips.get(old)!.url);
    clips.delete(old);
  }
  return clip;
}

/** What a clip is asked for first: likeness, or the first thing that this library can tell. */
export function firstMode(): Mode {
  const modes: [Ability, Mode][] = [["audio", "search"], ["identify", "identify"], ["hum", "hum"]];
  return modes.find(([ability]) => can(ability))?.[1] ?? "search";
}

/** Ask with a file; what is no audio is refused before it is sent. */
export function askWith(file: File | undefined): void {
  if (!file) return;
  if (file.size === 0) return say(`${file.name} is empty`, { bad: true });
  if (file.type && !/^(audio|video)\/|octet-stream|ogg/.test(file.type))
    return say(`${file.name} is not audio but ${file.type}`, {
      hint: "Drop a recording: wav, flac, mp3, ogg, m4a, aiff, webm ...",
      bad: true,
    });
  ask({ clip: keep(file, file.name).id, mode: firstMode(), by: "" });
}

/** Of several files that were dropped, the first is the example. */
export function askWithFirst(files: FileList): void {
  askWith(files[0]);
  if (files.length > 1) say(`Only the first of ${files.length} files is the example: ${files[0]!.name}`);
}

// Recordings that are there twice, side by side: see what is shared, listen, choose.
import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { DuplicateGroup, Evidence, Hit } from "../api/types";
import { clock, count, fileName, folder, length, percent, titleOf } from "../lib/format";
import { complain, edition } from "../state/app";
import { exportTracks } from "../state/crate";
import { play, position } from "../state/player";
import { asHit } from "../state/search";
import { IconButton, Notice, Waiting } from "../ui/parts";
import { DragHandle, isCurrent, playOrPause } from "../ui/Row";
import { Waveform } from "../ui/Waveform";
import { playing } from "../state/player";

const groups = signal<DuplicateGroup[] | null>(null);
const failure = signal<ApiError | null>(null);

/** The edition of the library that is shown. */
let shown = -1;

async function load(): Promise<void> {
  failure.value = null;
  shown = edition.peek();
  try {
    groups.value = await api.duplicates();
  } catch (error) {
    if (error instanceof ApiError) failure.value = error;
    else complain(error);
  }
}

/** The part of `track` that another one of the group has too. */
function shared(track: string, evidence: Evidence[]): { start: number | null; end: number | null } {
  for (const e of evidence) {
    if (e.a === track && e.a_start != null && e.a_end != null) return { start: e.a_start, end: e.a_end };
    if (e.b === track && e.b_start != null && e.b_end != null) return { start: e.b_start, end: e.b_end };
  }
  return { start: null, end: null };
}

/** Play `hit` where the other one plays now, so that the two can be compared. */
function compare(from: Hit, to: Hit): void {
  play(to, Math.max(0, position.peek() - (from.start ?? 0) + (to.start ?? 0)));
}

function why(evidence: Evidence[]): string {
  const kinds = [...new Set(evidence.map((e) => e.kind))].join(", ");
  const sure = evidence.map((e) => e.confidence).filter((c): c is number => c != null);
  return sure.length ? `${kinds}, confidence ${percent(Math.max(...sure))}` : kinds;
}

function Group({ group, number }: { group: DuplicateGroup; number: number }) {
  const hits = group.tracks.map((sound) => ({ ...asHit(sound), ...shared(sound.track, group.evidence), keep: sound.keep }));
  const sounding = hits.find((hit) => isCurrent(hit) && playing.value);
  return (
    <article class="group" aria-labelledby={`group-${number}`}>
      <header>
        <h2 id={`group-${number}`}>{titleOf(hits[0]!)}</h2>
        <span class="muted">{why(group.evidence)}</span>
      </header>
      <div class="twins">
        {hits.map((hit) => (
          <section key={hit.track} class={`twin ${hit.keep ? "keep" : ""}`} aria-label={fileName(hit.path)}>
            <h3>
              {fileName(hit.path)} {hit.keep && <span class="badge">keep</span>}
            </h3>
            <p class="muted" title={hit.path}>
              {folder(hit.path, 3)}
            </p>
            <Waveform track={hit.track} duration={hit.duration} start={hit.start} end={hit.end} label={fileName(hit.path)} onSeek={(s) => play(hit, s)} />
            <p class="twin-foot">
              <IconButton
                icon={isCurrent(hit) && playing.value ? "pause" : "play"}
                label={`${isCurrent(hit) && playing.value ? "Pause" : "Play"} ${fileName(hit.path)}`}
                onClick={() => playOrPause(hit)}
              />
              {sounding && !isCurrent(hit) && (
                <IconButton icon="loop" label="Switch to this one here" text="Switch here" onClick={() => compare(sounding, hit)} />
              )}
              <DragHandle hit={hit} />
              <span class="muted">
                {length(hit.duration)}
                {hit.start !== null && `, same from ${clock(hit.start, true)} to ${clock(hit.end, true)}`}
              </span>
            </p>
          </section>
        ))}
      </div>
    </article>
  );
}

export default function DuplicatesView() {
  useEffect(() => {
    if (!groups.value || shown !== edition.value) void load();
  }, [edition.value]);
  const all = groups.value;
  const extra = (all ?? []).flatMap((g) => g.tracks.filter((t) => !t.keep).map((t) => t.track));
  return (
    <section class="page" aria-label="Duplicates">
      <div class="results-head">
        <h1>Duplicates</h1>
        <p role="status">{all ? count(all.length, "group") : failure.value ? "" : "Comparing …"}</p>
        <span class="spread" />
        {extra.length > 0 && (
          <IconButton icon="file" label="List of the copies not kept, as csv" text="Copies as csv" onClick={() => void exportTracks(extra, "csv", "duplicates")} />
        )}
      </div>
      {failure.value && (
        <Notice bad title={failure.value.message} hint={failure.value.hint}>
          <IconButton icon="loop" label="Try again" text="Try again" onClick={() => void load()} />
        </Notice>
      )}
      {!all && !failure.value && <Waiting rows={4} />}
      {all?.length === 0 && <Notice title="No duplicates" hint="Every recording is there once. Nothing was changed." />}
      {all?.map((group, i) => (
        <Group key={group.tracks[0]?.track ?? i} group={group} number={i} />
      ))}
    </section>
  );
}

// The answers that are more than a list: identify, the hum's contours, tags.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Contour, Hit, TagAnswer } from "../api/types";
import { clock, percent, titleOf, whence } from "../lib/format";
import { sing, type Tune } from "../lib/tune";
import { audio, play, playing, volume } from "../state/player";
import { ask } from "../state/route";
import { selected } from "../state/search";
import { Icon } from "../ui/icons";
import { Bar, IconButton } from "../ui/parts";
import { copyLink, DragHandle, isCurrent, moreLike, playOrPause } from "../ui/Row";
import { Waveform } from "../ui/Waveform";
import { toggleCrate, inCrate } from "../state/crate";

export function IdentifyAnswer({ hit }: { hit: Hit }) {
  const title = titleOf(hit);
  const sure = hit.confidence ?? hit.score;
  const sounding = isCurrent(hit) && playing.value;
  return (
    <article class="identified" data-row="0" aria-label="The recording">
      <p class="muted">This is</p>
      <h2>{title}</h2>
      <p>{whence(hit)}</p>
      <dl class="identified-facts">
        <div>
          <dt>Position</dt>
          <dd>
            {clock(hit.start, true)} <span class="muted">of {clock(hit.duration)}</span>
          </dd>
        </div>
        {sure !== null && (
          <div>
            <dt>Confidence</dt>
            <dd>
              {percent(sure)} <Bar share={sure} />
            </dd>
          </div>
        )}
        {hit.query_start != null && hit.query_end != null && (
          <div>
            <dt>Part of your clip</dt>
            <dd>
              {clock(hit.query_start, true)} – {clock(hit.query_end, true)}
            </dd>
          </div>
        )}
      </dl>
      <Waveform track={hit.track} duration={hit.duration} start={hit.start} end={hit.end} label={title} onSeek={(s) => play(hit, s)} />
      <div class="acts" role="group" aria-label={`With ${title}`}>
        <IconButton
          icon={sounding ? "pause" : "play"}
          label={sounding ? "Pause" : "Play from there"}
          text={sounding ? "Pause" : "Play from there"}
          kind="primary"
          onClick={() => {
            selected.value = 0;
            playOrPause(hit);
          }}
        />
        <IconButton icon="more" label="More like this moment" text="More like this moment" onClick={() => moreLike(hit)} />
        <IconButton icon={inCrate(hit) ? "check" : "add"} label="In the collection" pressed={inCrate(hit)} onClick={() => toggleCrate(hit)} />
        <IconButton icon="link" label="Copy the link" onClick={() => void copyLink(hit)} />
        <DragHandle hit={hit} />
      </div>
    </article>
  );
}

const WIDE = 600;
const HIGH = 120;

/** A line through voiced stretches; a gap where there is no pitch. */
export function contourPath(times: number[], values: (number | null)[], low: number, high: number): string {
  const first = times[0] ?? 0;
  const length = (times[times.length - 1] ?? 1) - first || 1;
  let pen = "M";
  let path = "";
  values.forEach((value, i) => {
    // What lies far outside is a slip of the pitch tracker, not of the voice.
    if (value === null || value === undefined || value < low || value > high) return (pen = "M");
    const x = ((times[i]! - first) / length) * WIDE;
    const y = HIGH - 8 - ((value - low) / (high - low || 1)) * (HIGH - 16);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
    return pen;
  });
  return path;
}

/** Lowest and highest semitone to show: those of the tune, with room for a voice that strays. */
function range({ query, target }: Contour): [number, number] {
  const voiced = (target.some((v) => v !== null) ? target : query).filter((v): v is number => v !== null);
  const [low, high] = voiced.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  return voiced.length ? [low - 5, high + 5] : [0, 1];
}

const stopSinging = signal<(() => void) | null>(null);

/** One of the two melodies, to be heard as it was understood. */
function Sung({ name, tune, kind = "yours" }: { name: string; tune: Tune; kind?: string }) {
  const [sounding, setSounding] = useState(false);
  const start = () => {
    audio.pause();
    stopSinging.peek()?.();
    setSounding(true);
    stopSinging.value = sing(tune, volume.peek(), () => {
      setSounding(false);
      stopSinging.value = null;
    });
  };
  useEffect(() => () => stopSinging.peek()?.(), []);
  return (
    <button type="button" class={`sung key ${kind}`} aria-pressed={sounding} title={`Hear ${name}`} onClick={() => (sounding ? stopSinging.peek()?.() : start())}>
      {name} <Icon name={sounding ? "stop" : "play"} size={14} />
    </button>
  );
}

export function Contours({ hit }: { hit: Hit }) {
  const contour = hit.contour!;
  const [low, high] = range(contour);
  const shift = hit.key_shift;
  const tempo = hit.tempo_ratio;
  const said = [
    shift != null && (Math.abs(shift) < 0.5 ? "same key" : `${Math.abs(shift).toFixed(1)} semitones ${shift > 0 ? "higher" : "lower"}`),
    tempo != null && `tempo × ${tempo.toFixed(2)}`,
    hit.confidence != null && `confidence ${percent(hit.confidence)}`,
  ].filter(Boolean);
  return (
    <figure class="contours">
      <svg class="lines" viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" role="img" aria-label={`Your tune over that of ${titleOf(hit)}`}>
        <path class="theirs" d={contourPath(contour.times, contour.target, low, high)} />
        <path class="yours" d={contourPath(contour.times, contour.query, low, high)} />
      </svg>
      <figcaption>
        <Sung name="yours" tune={{ times: contour.times, pitches: contour.query }} />
        <Sung name="the tune" kind="theirs" tune={{ times: contour.times, pitches: contour.target }} />
        <span class="muted">{said.join(", ")}</span>
      </figcaption>
    </figure>
  );
}

export function Tags({ answer }: { answer: TagAnswer }) {
  return (
    <div class="tags">
      <ul class="tag-list">
        {answer.tags.map(({ label, score }) => (
          <li key={label}>
            <button type="button" class="chip" title={`Find ${label} in the library`} onClick={() => ask({ text: label })}>
              <span class="chip-name">{label}</span>
            </button>
            <Bar share={score ?? 0} />
            <span class="number">{percent(score ?? 0)}</span>
          </li>
        ))}
      </ul>
      {(answer.moments?.length ?? 0) > 1 && (
        <table class="moments">
          <caption>Moment by moment</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Heard</th>
            </tr>
          </thead>
          <tbody>
            {answer.moments!.map((m) => (
              <tr key={m.start}>
                <td>
                  {clock(m.start, true)} – {clock(m.end, true)}
                </td>
                <td>
                  {m.tags
                    .slice(0, 3)
                    .map((t) => `${t.label} ${percent(t.score ?? 0)}`)
                    .join(", ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

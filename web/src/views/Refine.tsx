// Filters from the real tags, and the weights of the aspects of sound.
import { useState } from "preact/hooks";
import type { Facet } from "../api/types";
import { NUDGES, resting } from "../lib/aspects";
import { rangeOf, toggled } from "../lib/where";
import { facets, library } from "../state/app";
import { go, route } from "../state/route";
import { IconButton } from "../ui/parts";

const FEW = 6;

/** What a collector looks for first; then the rest, what the machinery wrote down last. */
const FIRST = ["tag", "tags", "label", "genre", "artist", "album", "year", "mood", "instrument", "pitch", "one_shot", "loop"];
const LAST = ["codec", "container", "melody_source", "melody_voice"];

function rank({ name }: Facet): number {
  const at = FIRST.indexOf(name.toLowerCase());
  return at >= 0 ? at - FIRST.length : 1 + LAST.indexOf(name);
}

/** How sure the machine was of another field: of no use as a filter of its own. */
const SURENESS = /_(confidence|certainty)$/;

/** The length is a column of the catalogue, and no tag. */
const LENGTH: Facet = { name: "duration", type: "number", distinct: Infinity, values: [] };

const NAMES: Record<string, string> = { tag: "Heard in it", duration: "Length (s)", sounding: "Sounding (s)", attack: "Attack (s)", decay: "Decay (s)", pitch_midi: "Pitch (semitone)" };
const UNITS: Record<string, string> = { hz: "Hz", db: "dB", s: "s", ms: "ms", bpm: "bpm" };

function label(name: string): string {
  if (NAMES[name]) return NAMES[name];
  const words = name.split(/[_.-]+/).filter(Boolean);
  const unit = words.length > 1 ? UNITS[words[words.length - 1]!] : undefined;
  const text = (unit ? words.slice(0, -1) : words).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1) + (unit ? ` (${unit})` : "");
}

/** Whether a field is a yes or no, written as 1 and 0. */
function yesNo(facet: Facet): boolean {
  const { type, values } = facet;
  return type === "number" && values.length > 0 && values.every(({ value }) => value === 0 || value === 1);
}

function Field({ facet }: { facet: Facet }) {
  const [all, setAll] = useState(false);
  const chosen = route.value.filters[facet.name] ?? [];
  const values = facet.values
    .filter(({ value }) => value !== null)
    .map(({ value, count }) => ({ value: String(value), count }));
  const missing = chosen.filter((c) => !values.some((v) => v.value === c)).map((value) => ({ value, count: 0 }));
  const listed = [...missing, ...values];
  const shown = all ? listed : listed.filter((v, i) => i < FEW || chosen.includes(v.value));
  return (
    <fieldset class="facet">
      <legend>{label(facet.name)}</legend>
      <div class="chips">
        {shown.map(({ value, count }) => (
          <button
            key={value}
            type="button"
            class="chip"
            aria-pressed={chosen.includes(value)}
            onClick={() => go({ filters: toggled(route.value.filters, facet.name, value) })}
          >
            <span class="chip-name" title={value}>
              {yesNo(facet) ? (value === "1" ? "yes" : "no") : value}
            </span>
            <span class="n">{count}</span>
          </button>
        ))}
        {listed.length > FEW && (
          <button type="button" class="chip quiet" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "fewer" : `${listed.length - FEW} more`}
          </button>
        )}
      </div>
    </fieldset>
  );
}

const short = (n: number | undefined) => (n === undefined ? "" : String(Number(n.toPrecision(3))));

/** A field with many different numbers: from here to there. */
function Range({ facet }: { facet: Facet }) {
  const { filters } = route.value;
  const [low, high] = rangeOf(filters[facet.name]?.[0]);
  const change = (from: string, to: string) => {
    const { [facet.name]: _, ...rest } = filters;
    go({ filters: from || to ? { ...rest, [facet.name]: [`${from}..${to}`] } : rest });
  };
  return (
    <fieldset class="facet">
      <legend>{label(facet.name)}</legend>
      <div class="range">
        <input
          type="number"
          step="any"
          aria-label={`${label(facet.name)} from`}
          placeholder={short(facet.min)}
          value={low}
          onChange={(event) => change(event.currentTarget.value, high)}
        />
        <span class="muted">to</span>
        <input
          type="number"
          step="any"
          aria-label={`${label(facet.name)} to`}
          placeholder={short(facet.max)}
          value={high}
          onChange={(event) => change(low, event.currentTarget.value)}
        />
      </div>
    </fieldset>
  );
}

/** Whether a text divides nothing: many values, each of one sound only (titles). */
function scattered({ type, values, distinct = 0 }: Facet): boolean {
  return type !== "number" && distinct > FEW && values.every(({ count }) => count === 1);
}

/** Shown as a range: all numbers but a yes or no, and a few whole ones (years). */
function numeric(facet: Facet): boolean {
  if (facet.type !== "number" || yesNo(facet)) return false;
  const few = (facet.distinct ?? 0) <= 2 * FEW;
  return !(few && facet.values.every(({ value }) => Number.isInteger(value)));
}

/** Folded on a phone, open beside the answers on a wide screen. */
function wide(): boolean {
  return matchMedia("(min-width: 70rem)").matches;
}

export function Facets() {
  const [open] = useState(wide);
  const any = Object.keys(route.value.filters).length > 0 || route.value.where !== "";
  const chosen = Object.keys(route.value.filters);
  const known = facets.value
    .filter((facet) => chosen.includes(facet.name) || (facet.values.length > 1 && !SURENESS.test(facet.name) && !scattered(facet)))
    .concat(facets.value.some(({ name }) => name === LENGTH.name) ? [] : [LENGTH])
    .sort((a, b) => rank(a) - rank(b));
  const lost: Facet[] = chosen.filter((name) => !known.some((f) => f.name === name)).map((name) => ({ name, values: [] }));
  if (!known.length && !lost.length && !any) return null;
  const folded = (facet: Facet) => facet !== LENGTH && (numeric(facet) || LAST.includes(facet.name));
  const more = known.filter(folded);
  const shown = (facet: Facet) => (numeric(facet) ? <Range key={facet.name} facet={facet} /> : <Field key={facet.name} facet={facet} />);
  return (
    <details class="panel" open={open}>
      <summary>
        <h2>Filters</h2>
      </summary>
      {any && (
        <IconButton icon="close" label="Without filters" text="Without filters" onClick={() => go({ filters: {}, where: "" })} />
      )}
      {[...lost, ...known.filter((facet) => !folded(facet))].map(shown)}
      {more.length > 0 && (
        <details class="panel numbers" open={more.some(({ name }) => chosen.includes(name))}>
          <summary>
            <h3>More filters</h3>
          </summary>
          {more.map(shown)}
        </details>
      )}
    </details>
  );
}

function Weight({ name, names }: { name: string; names: string[] }) {
  const { aspects } = route.value;
  const rest = resting(name, names);
  const weight = aspects[name] ?? rest;
  const ends = NUDGES[name];
  const change = (value: number) => {
    const { [name]: _, ...others } = aspects;
    go({ aspects: value === rest ? others : { ...others, [name]: value } }, true);
  };
  const title = name.charAt(0).toUpperCase() + name.slice(1);
  const said = ends ? (weight === 0 ? "as it is" : weight < 0 ? ends[0] : ends[1]) : weight === 0 ? "off" : `× ${weight}`;
  return (
    <label class="aspect">
      <span>{title}</span>
      <input
        type="range"
        min={ends ? -1 : 0}
        max={ends ? 1 : 2}
        step="0.1"
        value={weight}
        aria-valuetext={said}
        onInput={(event) => change(Number(event.currentTarget.value))}
      />
      <span class="value" aria-hidden="true">
        {said}
      </span>
    </label>
  );
}

export function Aspects() {
  const [open] = useState(wide);
  const names = library.value?.aspects ?? [];
  const { aspects, clip, like, unlike, moment } = route.value;
  const example = clip || moment || like.length || unlike.length;
  if (!names.length || !example) return null;
  return (
    <details class="panel" open={open}>
      <summary>
        <h2>What counts</h2>
      </summary>
      <div class="aspects">
        {names.map((name) => (
          <Weight key={name} name={name} names={names} />
        ))}
      </div>
      {Object.keys(aspects).length > 0 && (
        <IconButton icon="close" label="As before" text="As before" onClick={() => go({ aspects: {} })} />
      )}
    </details>
  );
}

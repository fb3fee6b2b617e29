// Filters from the real tags, and the weights of the aspects of sound.
import { useState } from "preact/hooks";
import type { Facet } from "../api/types";
import { NUDGES, resting } from "../lib/aspects";
import { rangeOf, toggled } from "../lib/where";
import { facets, library } from "../state/app";
import { go, route } from "../state/route";
import { IconButton } from "../ui/parts";

const FEW = 6;

const UNITS: Record<string, string> = { hz: "Hz", db: "dB", s: "s", ms: "ms", bpm: "bpm" };

function label(name: string): string {
  const words = name.split(/[_.-]+/).filter(Boolean);
  const unit = words.length > 1 ? UNITS[words[words.length - 1]!] : undefined;
  const text = (unit ? words.slice(0, -1) : words).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1) + (unit ? ` (${unit})` : "");
}

/** Whether a field is a yes or no, written as 1 and 0. */
function yesNo(facet: Facet): boolean {
  return facet.type === "number" && facet.values.every(({ value }) => value === 0 || value === 1);
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
            {yesNo(facet) ? (value === "1" ? "yes" : "no") : value} <span class="n">{count}</span>
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

function numeric(facet: Facet): boolean {
  return facet.type === "number" && (facet.distinct ?? 0) > 3;
}

/** Folded on a phone, open beside the answers on a wide screen. */
function wide(): boolean {
  return matchMedia("(min-width: 60rem)").matches;
}

export function Facets() {
  const [open] = useState(wide);
  const any = Object.keys(route.value.filters).length > 0 || route.value.where !== "";
  const chosen = Object.keys(route.value.filters);
  const known = facets.value.filter((facet) => facet.values.length > 1 || chosen.includes(facet.name));
  const lost = chosen.filter((name) => !known.some((f) => f.name === name)).map((name) => ({ name, values: [] }));
  if (!known.length && !lost.length && !any) return null;
  return (
    <details class="panel" open={open}>
      <summary>
        <h2>Filters</h2>
      </summary>
      {any && (
        <IconButton icon="close" label="Without filters" text="Without filters" onClick={() => go({ filters: {}, where: "" })} />
      )}
      {[...lost, ...known]
        .filter((facet) => !numeric(facet))
        .map((facet) => (
          <Field key={facet.name} facet={facet} />
        ))}
      {known.some(numeric) && (
        <details class="panel numbers" open={known.some((facet) => numeric(facet) && chosen.includes(facet.name))}>
          <summary>
            <h3>By number</h3>
          </summary>
          {known.filter(numeric).map((facet) => (
            <Range key={facet.name} facet={facet} />
          ))}
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
  const said = ends ? (weight === 0 ? "as it is" : weight < 0 ? ends[0] : ends[1]) : weight === 0 ? "off" : `× ${weight}`;
  return (
    <label class="aspect">
      <span>{label(name)}</span>
      <span class="value" aria-hidden="true">
        {said}
      </span>
      <input
        type="range"
        min={ends ? -1 : 0}
        max={ends ? 1 : 2}
        step="0.1"
        value={weight}
        aria-valuetext={said}
        onInput={(event) => change(Number(event.currentTarget.value))}
      />
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

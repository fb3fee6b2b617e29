// Chips to the small language of `where` (src/earmark/where.py).

export type Filters = Record<string, string[]>;

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function field(name: string): string {
  return /^[\p{L}_][\p{L}\p{N}_.:-]*$/u.test(name) ? name : `\`${name.replaceAll("`", "")}\``;
}

/** "2..5", "2.." and "..5" are ranges of numbers, both ends included. */
const RANGE = /^(-?[\d.]+)?\.\.(-?[\d.]+)?$/;

export function rangeOf(value: string | undefined): [string, string] {
  const match = RANGE.exec(value ?? "");
  return [match?.[1]?.replace(/\.$/, "") ?? "", match?.[2] ?? ""];
}

function test(name: string, value: string): string {
  if (!RANGE.test(value)) return `${field(name)} = ${quoted(value)}`;
  const [low, high] = rangeOf(value);
  if (low && high) return `${field(name)} between ${low} and ${high}`;
  return low ? `${field(name)} >= ${low}` : `${field(name)} <= ${high}`;
}

/** All fields must hold; of one field's values, any. */
export function whereOf(filters: Filters, extra = ""): string {
  const parts = Object.entries(filters)
    .filter(([, values]) => values.length && values[0] !== "..")
    .map(([name, values]) =>
      values.length === 1
        ? test(name, values[0]!)
        : `${field(name)} in (${values.map(quoted).join(", ")})`,
    );
  if (extra) parts.push(parts.length ? `(${extra})` : extra);
  return parts.join(" and ");
}

export function toggled(filters: Filters, name: string, value: string): Filters {
  const now = filters[name] ?? [];
  const next = now.includes(value) ? now.filter((v) => v !== value) : [...now, value];
  const { [name]: _, ...rest } = filters;
  return next.length ? { ...rest, [name]: next } : rest;
}

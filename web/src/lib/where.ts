// Chips to the small language of `where` (src/earmark/where.py).

export type Filters = Record<string, string[]>;

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function field(name: string): string {
  return /^[\p{L}_][\p{L}\p{N}_.:-]*$/u.test(name) ? name : `\`${name.replaceAll("`", "")}\``;
}

/** All fields must hold; of one field's values, any. */
export function whereOf(filters: Filters, extra = ""): string {
  const parts = Object.entries(filters)
    .filter(([, values]) => values.length)
    .map(([name, values]) =>
      values.length === 1
        ? `${field(name)} = ${quoted(values[0]!)}`
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

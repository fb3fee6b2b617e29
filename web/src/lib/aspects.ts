// Aspects of sound (src/earmark/library/aspects.py): likeness in some count from 0 to 2, others are
// nudges away from the example, from -1 to 1 in a direction.

/** The words at both ends of a nudge. */
export const NUDGES: Record<string, [string, string]> = {
  brightness: ["darker", "brighter"],
  length: ["shorter", "longer"],
  attack: ["softer", "harder"],
  noisiness: ["tonal", "noisier"],
};

/** What an untouched slider says: the first aspect is the sound as a whole, and alone counts. */
export function resting(name: string, names: string[]): number {
  return name === names[0] && !NUDGES[name] ? 1 : 0;
}

/** The weights as the server takes them; empty where nothing was moved, or nothing would count. */
export function aspectText(weights: Record<string, number>, names: string[]): string {
  const moved = Object.entries(weights).some(([name, weight]) => weight !== resting(name, names));
  if (!moved) return "";
  const all = names.map((name) => [name, weights[name] ?? resting(name, names)] as const);
  const counted = all.filter(([, weight]) => weight !== 0);
  return counted.map(([name, weight]) => `${name}=${weight}`).join(",");
}

// 100,000 points on a canvas, drawn pixel by pixel into one image: no WebGL, no code made at run
// time (regl, under regl-scatterplot, needs 'unsafe-eval'), and the same speed with and without a
// graphics card.  Coordinates: the map's x to the right and y upwards; the view is its centre and
// how many pixels a unit has.

export interface View {
  x: number;
  y: number;
  scale: number;
}

export interface Points {
  x: Float32Array;
  y: Float32Array;
  /** An index into the palette, per point. */
  shade: Uint8Array;
}

/** Buckets of points for finding the nearest one: a uniform grid over the map, by counting sort. */
export class Grid {
  private readonly cells: number;
  private readonly first: Uint32Array;
  private readonly order: Uint32Array;
  readonly box: { x: number; y: number; width: number; height: number };

  constructor(private readonly points: Points) {
    const { x, y } = points;
    const n = x.length;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      left = Math.min(left, x[i]!);
      right = Math.max(right, x[i]!);
      low = Math.min(low, y[i]!);
      high = Math.max(high, y[i]!);
    }
    this.box = n
      ? { x: left, y: low, width: right - left || 1, height: high - low || 1 }
      : { x: 0, y: 0, width: 1, height: 1 };
    this.cells = Math.max(1, Math.min(512, Math.round(Math.sqrt(n / 2))));
    this.first = new Uint32Array(this.cells * this.cells + 1);
    this.order = new Uint32Array(n);
    const cell = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      cell[i] = this.column(x[i]!) + this.cells * this.line(y[i]!);
      this.first[cell[i]! + 1]! += 1;
    }
    for (let c = 0; c < this.cells * this.cells; c++) this.first[c + 1]! += this.first[c]!;
    const next = this.first.slice();
    for (let i = 0; i < n; i++) this.order[next[cell[i]!]!++] = i;
  }

  private column(x: number): number {
    return clamp(Math.floor(((x - this.box.x) / this.box.width) * this.cells), 0, this.cells - 1);
  }

  private line(y: number): number {
    return clamp(Math.floor(((y - this.box.y) / this.box.height) * this.cells), 0, this.cells - 1);
  }

  /** The nearest point within `reach`, or -1. */
  nearest(x: number, y: number, reach: number): number {
    let best = -1;
    let least = reach * reach;
    const to = this.column(x + reach);
    const up = this.line(y + reach);
    for (let line = this.line(y - reach); line <= up; line++)
      for (let column = this.column(x - reach); column <= to; column++) {
        const c = column + this.cells * line;
        for (let k = this.first[c]!; k < this.first[c + 1]!; k++) {
          const i = this.order[k]!;
          const d = (this.points.x[i]! - x) ** 2 + (this.points.y[i]! - y) ** 2;
          if (d <= least) {
            least = d;
            best = i;
          }
        }
      }
    return best;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Which shade a region has: the largest regions differ, 0 is for points of none. */
export function shadesOf(regions: { id: number; size: number }[], shades: number): Map<number, number> {
  const largest = [...regions].sort((a, b) => b.size - a.size);
  return new Map(largest.map(({ id }, i) => [id, 1 + (i % (shades - 1))]));
}

/** How high the points of each region reach (all but a few stragglers): names stand above them. */
export function topsOf(y: ArrayLike<number>, regions: ArrayLike<number | null>): Map<number, number> {
  const sums = new Map<number, [count: number, sum: number, squares: number]>();
  for (let i = 0; i < y.length; i++) {
    const region = regions[i] ?? -1;
    const sum = sums.get(region) ?? [0, 0, 0];
    sums.set(region, [sum[0] + 1, sum[1] + y[i]!, sum[2] + y[i]! ** 2]);
  }
  const tops = new Map<number, number>();
  for (const [region, [n, sum, squares]] of sums) {
    const mean = sum / n;
    tops.set(region, mean + 1.7 * Math.sqrt(Math.max(0, squares / n - mean ** 2)));
  }
  return tops;
}

/** The points inside a polygon of map coordinates (even-odd rule), in their order. */
export function inside(points: Points, polygon: [number, number][]): number[] {
  const found: number[] = [];
  const xs = polygon.map(([x]) => x);
  const ys = polygon.map(([, y]) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  for (let i = 0; i < points.x.length; i++) {
    const x = points.x[i]!;
    const y = points.y[i]!;
    if (x < left || x > right || y < low || y > high) continue;
    let odd = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const [ax, ay] = polygon[a]!;
      const [bx, by] = polygon[b]!;
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
    }
    if (odd) found.push(i);
  }
  return found;
}

/** A view in which the whole box fits, with a margin. */
export function fitting(box: Grid["box"], width: number, height: number): View {
  const scale = 0.92 * Math.min(width / box.width, height / box.height);
  return { x: box.x + box.width / 2, y: box.y + box.height / 2, scale };
}

/** Radius of a point in pixels of the screen: it grows with the zoom, so that dense maps stay legible. */
export function radiusOf(view: View, fit: View, n: number, pixelRatio: number): number {
  const start = n > 20000 ? 1.2 : n > 3000 ? 2 : 4;
  return pixelRatio * Math.min(8, start * Math.max(1, (view.scale / fit.scale) ** 0.4));
}

/** A disc as rows: for each line, how far to the left and right of the centre it reaches. */
function disc(radius: number): Int32Array {
  const r = Math.max(1, Math.round(radius));
  const rows = new Int32Array(2 * r + 1);
  for (let dy = -r; dy <= r; dy++) rows[dy + r] = Math.floor(Math.sqrt((r + 0.3) ** 2 - dy * dy));
  return rows;
}

/** Draw all points into `pixels` (one 32-bit RGBA word a pixel), later ones over earlier ones. */
export function raster(
  pixels: Uint32Array,
  width: number,
  height: number,
  points: Points,
  view: View,
  palette: Uint32Array,
  radius: number,
): void {
  pixels.fill(0);
  const { x, y, shade } = points;
  const rows = disc(radius);
  const r = (rows.length - 1) / 2;
  const [ox, oy, s] = [width / 2 - view.x * view.scale, height / 2 + view.y * view.scale, view.scale];
  for (let i = 0; i < x.length; i++) {
    const px = (x[i]! * s + ox) | 0;
    const py = (oy - y[i]! * s) | 0;
    if (px < r || py < r || px >= width - r || py >= height - r) continue;
    const colour = palette[shade[i]!]!;
    let line = (py - r) * width + px;
    for (let k = 0; k < rows.length; k++, line += width) {
      const reach = rows[k]!;
      for (let at = line - reach; at <= line + reach; at++)
        pixels[at] = r > 1 ? colour : denser(pixels[at]!, colour);
    }
  }
}

/** Small points are translucent: where many lie, the colour grows strong. */
function denser(old: number, colour: number): number {
  const alpha = old === 0 ? 70 : Math.min(255, (old >>> 24) + 22);
  return ((alpha << 24) | (colour & 0xffffff)) >>> 0;
}

/** "rgb(1, 2, 3)" or "#rrggbb" to a pixel word (little-endian RGBA). */
export function word(colour: string, alpha = 255): number {
  const hex = /^#([0-9a-f]{6})$/i.exec(colour.trim());
  const rgb = hex
    ? [0, 2, 4].map((i) => Number.parseInt(hex[1]!.slice(i, i + 2), 16))
    : (colour.match(/[\d.]+/g) ?? ["0", "0", "0"]).slice(0, 3).map(Number);
  return ((alpha << 24) | (rgb[2]! << 16) | (rgb[1]! << 8) | rgb[0]!) >>> 0;
}

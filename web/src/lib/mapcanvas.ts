// The map's canvas: what is drawn, and what pointers and keys do to it.
import type { MapAnswer } from "../api/types";
import { fitting, Grid, inside, radiusOf, raster, shadesOf, topsOf, word, type Points, type View } from "./scatter";

/** Hues of the regions; the first is for points of none. */
export const SHADES = 13;

/** Up to here every point is a disc of its own; above, points are pixels of one image. */
const FEW = 3000;

export interface Watcher {
  hover: (point: number, x: number, y: number) => void;
  click: (point: number) => void;
  lassoed: (points: number[]) => void;
}

interface Cluster {
  id: number;
  x: number;
  y: number;
  size: number;
}

export class Canvas {
  private readonly canvas = document.createElement("canvas");
  private readonly over = document.createElement("canvas");
  private readonly points: Points;
  private readonly grid: Grid;
  private readonly shades: Map<number, number>;
  private readonly tops: Map<number, number>;
  private readonly sized: ResizeObserver;
  private readonly ended = new AbortController();
  private view: View = { x: 0, y: 0, scale: 1 };
  private whole: View = { x: 0, y: 0, scale: 1 };
  private image: ImageData | null = null;
  private words: Uint32Array = new Uint32Array(0);
  private palette = new Uint32Array(SHADES);
  private waiting = 0;
  private lassoing = false;
  private lasso: [number, number][] = [];
  private hovered = -1;
  private picked: number[] = [];
  private hits: number[] = [];
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;
  /** How many pictures were drawn, and how long the last one took (ms); for the benchmark. */
  frames = 0;
  cost = 0;

  constructor(
    private readonly box: HTMLElement,
    private readonly map: MapAnswer,
    private readonly watcher: Watcher,
  ) {
    const { x, y, cluster } = map.points;
    this.shades = shadesOf(map.clusters ?? [], SHADES);
    this.points = {
      x: Float32Array.from(x),
      y: Float32Array.from(y),
      shade: Uint8Array.from(x, (_, i) => this.shades.get(cluster?.[i] ?? -1) ?? 0),
    };
    this.tops = topsOf(y, cluster ?? []);
    this.grid = new Grid(this.points);
    for (const layer of [this.canvas, this.over]) {
      layer.setAttribute("aria-hidden", "true");
      box.prepend(layer);
    }
    this.over.className = "over";
    this.box.append(this.over);
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(box);
    this.listen();
    this.repaint();
    this.resize();
  }

  private get ratio(): number {
    return Math.min(2, devicePixelRatio || 1);
  }

  private resize(): void {
    const first = this.image === null;
    const { clientWidth, clientHeight } = this.box;
    const width = Math.max(1, Math.round(clientWidth * this.ratio));
    const height = Math.max(1, Math.round(clientHeight * this.ratio));
    for (const layer of [this.canvas, this.over]) {
      layer.width = width;
      layer.height = height;
    }
    this.image = new ImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);
    const grown = this.whole.scale;
    this.whole = fitting(this.grid.box, width, height);
    if (first) this.view = { ...this.whole };
    else this.view.scale *= this.whole.scale / grown;
    this.draw();
  }

  /** Colours anew, after the theme changed. */
  repaint(): void {
    const style = getComputedStyle(this.box);
    for (let i = 0; i < SHADES; i++) this.palette[i] = word(style.getPropertyValue(`--shade-${i}`), i ? 255 : 150);
    this.draw();
  }

  mark(picked: number[], tracks: string[]): void {
    this.picked = picked;
    const wanted = new Set(tracks);
    this.hits = [];
    if (wanted.size) this.map.points.track.forEach((track, i) => wanted.has(track) && this.hits.push(i));
    this.draw();
  }

  setLasso(on: boolean): void {
    this.lassoing = on;
    this.lasso = [];
  }

  fit(): void {
    this.view = { ...this.whole };
    this.draw();
  }

  zoom(times: number, x = this.canvas.width / 2, y = this.canvas.height / 2): void {
    const [mx, my] = this.toMap(x, y);
    const scale = Math.min(this.whole.scale * 400, Math.max(this.whole.scale * 0.5, this.view.scale * times));
    const change = this.view.scale / scale;
    this.view = {
      x: mx - (mx - this.view.x) * change,
      y: my - (my - this.view.y) * change,
      scale,
    };
    this.draw();
  }

  visit(cluster: Cluster): void {
    const share = Math.sqrt(cluster.size / Math.max(1, this.points.x.length));
    this.view = { x: cluster.x, y: cluster.y, scale: this.whole.scale * Math.min(12, Math.max(2, 0.8 / share)) };
    this.draw();
  }

  /** A key: undefined if it means nothing here, else the point to play or -1. */
  key(name: string): number | undefined {
    const step = 60 / this.view.scale;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, step],
      ArrowDown: [0, -step],
    };
    const move = moves[name];
    if (move) {
      this.view = { ...this.view, x: this.view.x + move[0], y: this.view.y + move[1] };
      this.draw();
    } else if (name === "+" || name === "=") this.zoom(1.4);
    else if (name === "-") this.zoom(1 / 1.4);
    else if (name === "0") this.fit();
    else if (name === "Enter") {
      this.hovered = this.grid.nearest(this.view.x, this.view.y, Math.hypot(this.grid.box.width, this.grid.box.height));
      this.draw();
      return this.hovered;
    } else return undefined;
    return -1;
  }

  destroy(): void {
    this.ended.abort();
    this.sized.disconnect();
    cancelAnimationFrame(this.waiting);
    this.canvas.remove();
    this.over.remove();
  }

  /** Draw once before the next picture, however often it is asked for. */
  draw(): void {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.drawNow());
  }

  private drawNow(): void {
    if (!this.image) return;
    const began = performance.now();
    const { width, height } = this.canvas;
    const radius = radiusOf(this.view, this.whole, this.points.x.length, this.ratio);
    const pen = this.canvas.getContext("2d")!;
    if (this.points.x.length <= FEW) this.drawDiscs(pen, radius);
    else {
      raster(this.words, width, height, this.points, this.view, this.palette, radius);
      pen.putImageData(this.image, 0, 0);
    }
    this.drawOver(radius);
    this.frames += 1;
    this.cost = performance.now() - began;
    this.box.dataset.frames = String(this.frames);
    this.box.dataset.cost = this.cost.toFixed(2);
  }

  /** Few points are drawn as round discs, one path for each colour. */
  private drawDiscs(pen: CanvasRenderingContext2D, radius: number): void {
    const style = getComputedStyle(this.box);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (let shade = 0; shade < SHADES; shade++) {
      pen.fillStyle = style.getPropertyValue(`--shade-${shade}`);
      pen.globalAlpha = 0.85;
      pen.beginPath();
      this.points.shade.forEach((own, i) => {
        if (own !== shade) return;
        const [x, y] = this.toScreen(i);
        pen.moveTo(x + radius, y);
        pen.arc(x, y, radius, 0, 7);
      });
      pen.fill();
    }
  }

  private toScreen(i: number): [number, number] {
    const { x, y, scale } = this.view;
    return [
      (this.points.x[i]! - x) * scale + this.canvas.width / 2,
      this.canvas.height / 2 - (this.points.y[i]! - y) * scale,
    ];
  }

  private toMap(x: number, y: number): [number, number] {
    const { scale } = this.view;
    return [this.view.x + (x - this.canvas.width / 2) / scale, this.view.y - (y - this.canvas.height / 2) / scale];
  }

  private rings(pen: CanvasRenderingContext2D, points: number[], radius: number): void {
    pen.beginPath();
    for (const i of points) {
      const [x, y] = this.toScreen(i);
      pen.moveTo(x + radius, y);
      pen.arc(x, y, radius, 0, 7);
    }
    pen.stroke();
  }

  private drawOver(radius: number): void {
    const pen = this.over.getContext("2d")!;
    pen.clearRect(0, 0, this.over.width, this.over.height);
    const style = getComputedStyle(this.box);
    pen.lineWidth = 1.5 * this.ratio;
    pen.strokeStyle = style.getPropertyValue("--text");
    this.rings(pen, this.hits, radius + 3 * this.ratio);
    pen.strokeStyle = style.getPropertyValue("--accent");
    if (this.picked.length < 5000) this.rings(pen, this.picked, radius + 1.5 * this.ratio);
    if (this.hovered >= 0) {
      pen.lineWidth = 3 * this.ratio;
      this.rings(pen, [this.hovered], radius + 5 * this.ratio);
    }
    this.drawNames(pen, style);
    if (this.lasso.length > 1) this.drawLasso(pen, style);
  }

  private drawLasso(pen: CanvasRenderingContext2D, style: CSSStyleDeclaration): void {
    pen.beginPath();
    for (const [x, y] of this.lasso) pen.lineTo(x, y);
    pen.closePath();
    pen.fillStyle = style.getPropertyValue("--selection");
    pen.fill();
    pen.stroke();
  }

  /** Names above their regions, the largest first, those that would overlap left out. */
  private drawNames(pen: CanvasRenderingContext2D, style: CSSStyleDeclaration): void {
    const size = 13 * this.ratio;
    pen.font = `600 ${size}px ${style.fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const taken: [number, number, number][] = [];
    for (const cluster of [...(this.map.clusters ?? [])].sort((a, b) => b.size - a.size)) {
      const centre = (cluster.x - this.view.x) * this.view.scale + this.canvas.width / 2;
      const middle = this.canvas.height / 2 - (cluster.y - this.view.y) * this.view.scale;
      const high = ((this.tops.get(cluster.id) ?? cluster.y) - cluster.y) * this.view.scale;
      const y = Math.max(size, middle - high - size);
      const half = pen.measureText(cluster.name).width / 2 + size / 2;
      if (centre < 0 || middle < 0 || centre > this.canvas.width || y > this.canvas.height) continue;
      const x = Math.max(half, Math.min(this.canvas.width - half, centre));
      if (taken.some(([tx, ty, th]) => Math.abs(tx - x) < th + half && Math.abs(ty - y) < size * 1.6)) continue;
      taken.push([x, y, half]);
      pen.lineWidth = 4 * this.ratio;
      pen.lineJoin = "round";
      pen.strokeStyle = style.getPropertyValue("--surface");
      pen.strokeText(cluster.name, x, y);
      pen.fillStyle = style.getPropertyValue("--text");
      pen.fillText(cluster.name, x, y);
    }
    pen.lineWidth = 2 * this.ratio;
    pen.strokeStyle = style.getPropertyValue("--accent");
  }

  private at(event: MouseEvent): [number, number] {
    const { left, top } = this.box.getBoundingClientRect();
    return [(event.clientX - left) * this.ratio, (event.clientY - top) * this.ratio];
  }

  private pointAt(x: number, y: number): number {
    const [mx, my] = this.toMap(x, y);
    return this.grid.nearest(mx, my, (10 * this.ratio) / this.view.scale);
  }

  private listen(): void {
    const on = <K extends keyof HTMLElementEventMap>(name: K, run: (event: HTMLElementEventMap[K]) => void) =>
      this.box.addEventListener(name, run, { signal: this.ended.signal, passive: false });
    on("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), ...this.at(event));
    });
    on("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.box.setPointerCapture(event.pointerId);
      const [x, y] = this.at(event);
      this.pointers.set(event.pointerId, { x, y });
      this.moved = 0;
      if (this.lassoing || event.shiftKey) this.lasso = [[x, y]];
    });
    on("pointermove", (event) => this.move(event));
    const up = (event: PointerEvent) => this.up(event);
    on("pointerup", up);
    on("pointercancel", up);
    on("pointerleave", () => this.hover(-1, 0, 0));
  }

  private hover(i: number, x: number, y: number): void {
    if (i === this.hovered) return;
    this.hovered = i;
    this.watcher.hover(i, x / this.ratio, y / this.ratio);
    this.drawOver(radiusOf(this.view, this.whole, this.points.x.length, this.ratio));
  }

  private move(event: PointerEvent): void {
    const [x, y] = this.at(event);
    const last = this.pointers.get(event.pointerId);
    if (!last) {
      const i = this.pointAt(x, y);
      const [sx, sy] = i < 0 ? [0, 0] : this.toScreen(i);
      return this.hover(i, sx, sy);
    }
    this.moved += Math.hypot(x - last.x, y - last.y);
    if (this.lasso.length) {
      const end = this.lasso[this.lasso.length - 1]!;
      if (Math.hypot(x - end[0], y - end[1]) > 4) this.lasso.push([x, y]);
      this.drawOver(radiusOf(this.view, this.whole, this.points.x.length, this.ratio));
    } else if (this.pointers.size === 2) this.pinch(event.pointerId, last, { x, y });
    else this.pan(x - last.x, y - last.y);
    this.pointers.set(event.pointerId, { x, y });
  }

  private pan(dx: number, dy: number): void {
    const { x, y, scale } = this.view;
    this.view = { x: x - dx / scale, y: y + dy / scale, scale };
    this.draw();
  }

  private pinch(id: number, from: { x: number; y: number }, to: { x: number; y: number }): void {
    const other = [...this.pointers].find(([key]) => key !== id)![1];
    const before = Math.hypot(from.x - other.x, from.y - other.y) || 1;
    const after = Math.hypot(to.x - other.x, to.y - other.y) || 1;
    this.pan((to.x - from.x) / 2, (to.y - from.y) / 2);
    this.zoom(after / before, (to.x + other.x) / 2, (to.y + other.y) / 2);
  }

  private up(event: PointerEvent): void {
    if (!this.pointers.delete(event.pointerId)) return;
    const [x, y] = this.at(event);
    if (this.lasso.length > 2) {
      const polygon = this.lasso.map(([lx, ly]) => this.toMap(lx, ly));
      this.lasso = [];
      this.watcher.lassoed(inside(this.points, polygon));
    } else if (this.moved < 6 && event.type === "pointerup") {
      const i = this.pointAt(x, y);
      if (i >= 0) {
        this.hover(i, ...this.toScreen(i));
        this.watcher.click(i);
      }
    }
    this.lasso = [];
    this.draw();
  }
}

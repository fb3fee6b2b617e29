// wavesurfer.js with a selection, made to live under a content policy without inline styles.
import WaveSurfer from "wavesurfer.js";
import Regions from "wavesurfer.js/plugins/regions";
import type { Peaks } from "../api/types";
import { heights } from "../lib/peaks";

export interface BigWave {
  /** Mark a part as selected, or none. */
  select: (part: Part | null) => void;
  /** Draw the line where it plays. */
  follow: (seconds: number) => void;
  zoom: (times: number) => void;
  destroy: () => void;
}

export interface Part {
  start: number;
  end: number;
}

interface Options {
  box: HTMLElement;
  peaks: Peaks;
  moment: Part | null;
  onSeek: (seconds: number) => void;
  onSelect: (part: Part) => void;
}

/** The style element that the build made a template of (vite.config.ts), as a style sheet. */
function adoptStyles(root: ShadowRoot | null): void {
  const css = root?.querySelector<HTMLTemplateElement>("template.css");
  if (!root || !css) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css.content.textContent ?? "");
  root.adoptedStyleSheets = [sheet];
}

export function bigWave({ box, peaks, moment, onSeek, onSelect }: Options): BigWave {
  const style = getComputedStyle(box);
  const colour = (name: string) => style.getPropertyValue(name);
  const tall = heights(peaks, Math.min(peaks.min.length, 2000));
  const surfer = WaveSurfer.create({
    container: box,
    height: box.clientHeight || 72,
    peaks: [tall],
    duration: peaks.duration,
    waveColor: colour("--wave"),
    progressColor: colour("--wave-played"),
    cursorColor: colour("--text"),
    cursorWidth: 2,
    barWidth: 2,
    barGap: 1,
    barRadius: 1,
    hideScrollbar: false,
    dragToSeek: false,
  });
  adoptStyles(surfer.getWrapper().getRootNode() as ShadowRoot);
  const regions = surfer.registerPlugin(Regions.create());
  let selected: ReturnType<typeof regions.addRegion> | null = null;
  let ready = false;
  let times = 1;
  const zoom = () => ready && surfer.zoom(times <= 1 ? 0 : (box.clientWidth / peaks.duration) * times);
  surfer.on("ready", () => {
    ready = true;
    if (times > 1) zoom();
    if (moment)
      regions.addRegion({ ...moment, color: colour("--moment-clear"), drag: false, resize: false, id: "moment" });
  });
  surfer.on("interaction", onSeek);
  regions.enableDragSelection({ color: colour("--selection"), id: "selection" });
  const changed = (region: { id: string; start: number; end: number }) => {
    if (region.id === "selection") onSelect({ start: region.start, end: region.end });
  };
  regions.on("region-created", (region) => {
    if (region.id !== "selection") return;
    if (selected && selected !== region) selected.remove();
    selected = region;
    changed(region);
  });
  regions.on("region-updated", changed);
  return {
    select(part) {
      if (!part) {
        selected?.remove();
        selected = null;
      } else if (!selected) regions.addRegion({ ...part, color: colour("--selection"), id: "selection" });
      else if (selected.start !== part.start || selected.end !== part.end) selected.setOptions(part);
    },
    follow: (seconds) => surfer.setTime(seconds),
    zoom(wanted) {
      if (wanted === times) return;
      times = wanted;
      zoom();
    },
    destroy: () => surfer.destroy(),
  };
}

// wavesurfer.js with a selection, made to live under a content policy without inline styles.
import WaveSurfer from "wavesurfer.js";
import Regions from "wavesurfer.js/plugins/regions";
import type { Peaks } from "../api/types";
import { heights } from "../lib/peaks";
import type { Part } from "../lib/window";

export interface BigWave {
  /** Mark a part as selected, or none. */
  select: (part: Part | null) => void;
  /** Draw the line where it plays. */
  follow: (seconds: number) => void;
  destroy: () => void;
}

interface Options {
  box: HTMLElement;
  /** Of the window to show; all times are those of the track. */
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
  const from = peaks.start;
  const shown = peaks.end - peaks.start || peaks.duration;
  const surfer = WaveSurfer.create({
    container: box,
    height: box.clientHeight || 72,
    peaks: [tall],
    duration: shown,
    waveColor: colour("--wave"),
    progressColor: colour("--wave-played"),
    cursorColor: colour("--text"),
    cursorWidth: 2,
    barWidth: 2,
    barGap: 1,
    barRadius: 1,
    hideScrollbar: true,
    dragToSeek: false,
  });
  adoptStyles(surfer.getWrapper().getRootNode() as ShadowRoot);
  const regions = surfer.registerPlugin(Regions.create());
  const within = (part: Part) => ({ start: Math.max(0, part.start - from), end: Math.min(shown, part.end - from) });
  const visible = (part: Part | null) => part !== null && part.end > from && part.start < from + shown;
  let selected: ReturnType<typeof regions.addRegion> | null = null;
  let quiet = false;
  let ready = false;
  let at = 0;
  let wanted: Part | null = null;
  const follow = () => surfer.setTime(Math.max(0, Math.min(shown, at - from)));
  surfer.on("ready", () => {
    ready = true;
    follow();
    select();
    if (moment && visible(moment))
      regions.addRegion({ ...within(moment), color: colour("--moment-clear"), drag: false, resize: false, id: "moment" });
  });
  surfer.on("interaction", (seconds) => onSeek(seconds + from));
  regions.enableDragSelection({ color: colour("--selection"), id: "selection" });
  const changed = (region: { id: string; start: number; end: number }) => {
    if (region.id === "selection" && !quiet) onSelect({ start: region.start + from, end: region.end + from });
  };
  regions.on("region-created", (region) => {
    if (region.id !== "selection") return;
    if (selected && selected !== region) selected.remove();
    selected = region;
    changed(region);
  });
  regions.on("region-updated", changed);
  /** Drawn because it was selected elsewhere: nothing is told. */
  const mark = (part: Part) => {
    const place = within(part);
    quiet = true;
    if (!selected) regions.addRegion({ ...place, color: colour("--selection"), id: "selection" });
    else if (selected.start !== place.start || selected.end !== place.end) selected.setOptions(place);
    quiet = false;
  };
  const select = () => {
    if (!ready) return; // regions made before have no place yet
    if (wanted && visible(wanted)) return mark(wanted);
    selected?.remove();
    selected = null;
  };
  return {
    select(part) {
      wanted = part;
      select();
    },
    follow(seconds) {
      at = seconds;
      follow();
    },
    destroy: () => surfer.destroy(),
  };
}

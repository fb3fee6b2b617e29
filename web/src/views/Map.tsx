// The library as a landscape: near means alike.  Hover plays, a lasso makes a list.
import { useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { Hit, MapAnswer } from "../api/types";
import { count, titleOf } from "../lib/format";
import { Canvas, SHADES } from "../lib/mapcanvas";
import { shadesOf } from "../lib/scatter";
import { complain, edition, library, paint, recall, remember, say } from "../state/app";
import { exportTracks, gather } from "../state/crate";
import { audio, play, playAll } from "../state/player";
import { jobs, running, watch } from "../state/jobs";
import { route } from "../state/route";
import { asHit, found } from "../state/search";
import { IconButton, Notice } from "../ui/parts";
import { moreLike } from "../ui/Row";

const answer = signal<MapAnswer | null>(null);
const failure = signal<ApiError | null>(null);
const hoverPlays = signal<boolean>(recall("earmark.hover", true));
const names = new Map<string, Promise<Hit>>();

/** The edition of the library that is shown. */
let shown = -1;

async function load(): Promise<void> {
  failure.value = null;
  shown = edition.peek();
  try {
    answer.value = await api.map();
  } catch (error) {
    if (error instanceof ApiError) failure.value = error;
    else complain(error);
  }
}

/** Whether the map may be made from here. */
function makeable(): boolean {
  return library.value !== null && !library.value.read_only;
}

/** How many sounds came after the map was made, and can be placed: notes alone cannot. */
function toPlace(map: MapAnswer): number {
  const placed = new Set(map.points.track).size;
  const known = library.value?.encoders.filter(({ name }) => map.encoders && name in map.encoders) ?? [];
  const most = known.length ? Math.max(...known.map(({ tracks }) => tracks ?? 0)) : Infinity;
  return Math.max(0, Math.min(map.missing ?? 0, most - placed));
}

/** Let the server make the map, or place what came since; then show it. */
async function make(): Promise<void> {
  try {
    if ((await watch(await api.makeMap())) === "done") await load();
  } catch (error) {
    complain(error);
  }
}

function MakeButton({ text }: { text: string }) {
  const busy = jobs.value.some((job) => job.kind === "map" && running(job));
  if (!makeable()) return null;
  return <IconButton icon="loop" label={text} text={busy ? "Making the map …" : text} disabled={busy} kind="primary" onClick={() => void make()} />;
}

/** The sound of a point; what is not told by the map is asked once. */
export function hitOf(map: MapAnswer, i: number): Promise<Hit> {
  const { track, start, end } = map.points;
  const id = track[i]!;
  if (!names.has(id)) names.set(id, api.track(id).then(asHit));
  return names.get(id)!.then((hit) => ({ ...hit, start: start?.[i] ?? null, end: end?.[i] ?? null }));
}

/** As many are gathered or played at a time. */
const MOST = 500;

/** The sounds of many points, asked for together. */
async function hitsOf(map: MapAnswer, points: number[]): Promise<Hit[]> {
  const some = points.slice(0, MOST);
  if (some.length < points.length) say(`The first ${MOST} of ${points.length.toLocaleString("en")} sounds`);
  const unknown = [...new Set(some.map((i) => map.points.track[i]!))].filter((id) => !names.has(id) && /^\d+$/.test(id));
  if (unknown.length) {
    const { tracks } = await api.tracks({ where: `id in (${unknown.join(", ")})`, limit: unknown.length });
    for (const sound of tracks) names.set(sound.track, Promise.resolve(asHit(sound)));
  }
  return Promise.all(some.map((i) => hitOf(map, i)));
}

function Picked({ map, points, onDrop }: { map: MapAnswer; points: number[]; onDrop: () => void }) {
  const tracks = () => points.map((i) => map.points.track[i]!);
  const some = (then: (hits: Hit[]) => void) => () => {
    hitsOf(map, points).then(then, complain);
  };
  return (
    <div class="picked" role="group" aria-label="Selected on the map">
      <p role="status">
        <b>{count(points.length, "sound")}</b> selected
      </p>
      <IconButton icon="play" label="Play them" text="Play them" kind="primary" onClick={some(playAll)} />
      <IconButton icon="crate" label="Collect" text="Collect" onClick={some(gather)} />
      <IconButton icon="file" label="Playlist as m3u" text="m3u" onClick={() => void exportTracks(tracks(), "m3u", "map")} />
      <IconButton icon="file" label="Table as csv" text="csv" onClick={() => void exportTracks(tracks(), "csv", "map")} />
      <IconButton icon="close" label="Drop the selection" onClick={onDrop} />
    </div>
  );
}

interface Tip {
  x: number;
  y: number;
  hit: Hit;
}

function Landscape({ map }: { map: MapAnswer }) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<Canvas | null>(null);
  const [tip, setTip] = useState<Tip | null>(null);
  const [lasso, setLasso] = useState(false);
  const [picked, setPicked] = useState<number[]>([]);
  const painted = paint.value;
  const hits = found.value.kind === "search" ? found.value.hits : [];
  useEffect(() => {
    let wanted = -1;
    let soon = 0;
    let byHover = false;
    const made = new Canvas(box.current!, map, {
      hover(i, x, y) {
        wanted = i;
        clearTimeout(soon);
        if (i < 0) {
          setTip(null);
          if (byHover) audio.pause();
          return;
        }
        soon = window.setTimeout(() => {
          hitOf(map, i).then((hit) => {
            if (wanted !== i) return;
            setTip({ x, y, hit });
            if (!hoverPlays.peek() || navigator.userActivation?.hasBeenActive === false) return;
            byHover = true;
            play(hit);
          }, complain);
        }, 90);
      },
      click: (i) => {
        byHover = false; // a click keeps playing
        hitOf(map, i).then(play, complain);
      },
      lassoed(points) {
        setPicked(points);
        setLasso(false);
        say(`${count(points.length, "sound")} selected`);
      },
    });
    canvas.current = made;
    return () => {
      clearTimeout(soon);
      made.destroy();
    };
  }, [map]);
  useEffect(() => canvas.current?.repaint(), [painted]);
  useEffect(() => canvas.current?.mark(picked, hits.map((hit) => hit.track)), [picked, hits]);
  useEffect(() => canvas.current?.setLasso(lasso), [lasso]);
  const later = toPlace(map);
  const shades = shadesOf(map.clusters ?? [], SHADES);
  const clusters = [...(map.clusters ?? [])].sort((a, b) => b.size - a.size);
  return (
    <>
      <div class="map-tools" role="toolbar" aria-label="The map">
        <h1>Map</h1>
        <span class="muted">{count(map.points.track.length, "point")}</span>
        {later > 0 && (
          <>
            <span class="muted">{count(later, "sound")} came later</span>
            <MakeButton text="Place them" />
          </>
        )}
        <span class="spread" />
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            checked={hoverPlays.value}
            onChange={(event) => {
              hoverPlays.value = event.currentTarget.checked;
              remember("earmark.hover", JSON.stringify(hoverPlays.value));
            }}
          />
          Hover plays
        </label>
        <IconButton icon="lasso" label="Lasso: draw around sounds" text="Lasso" pressed={lasso} onClick={() => setLasso(!lasso)} />
        <IconButton icon="add" label="Closer" onClick={() => canvas.current?.zoom(1.6)} />
        <IconButton icon="less" label="Further away" onClick={() => canvas.current?.zoom(1 / 1.6)} />
        <IconButton icon="whole" label="The whole map" onClick={() => canvas.current?.fit()} />
      </div>
      <div class="map-frame">
        {picked.length > 0 && <Picked map={map} points={picked} onDrop={() => setPicked([])} />}
      <div
        class={`landscape ${lasso ? "lassoing" : ""}`}
        ref={box}
        role="application"
        aria-label="Map of the library: arrow keys move, plus and minus zoom, Enter plays the sound in the middle"
        tabIndex={0}
        onKeyDown={(event) => {
          const middle = canvas.current?.key(event.key);
          if (middle === undefined) return;
          event.preventDefault();
          event.stopPropagation();
          if (middle >= 0)
            hitOf(map, middle).then((hit) => {
              play(hit);
              say(titleOf(hit));
            }, complain);
        }}
      >
        {tip && (
          <div class="tip" style={{ left: `${tip.x}px`, top: `${tip.y}px` }} aria-hidden="true">
            {titleOf(tip.hit)}
          </div>
        )}
      </div>
        {tip && (
          <p class="map-now">
            {titleOf(tip.hit)} <IconButton icon="more" label="More like this" text="More like this" onClick={() => moreLike(tip.hit)} />
          </p>
        )}
      </div>
      {clusters.length > 0 && (
        <nav class="clusters" aria-label="Regions of the map">
          <ul>
            {clusters.slice(0, 40).map((cluster) => (
              <li key={cluster.id}>
                <button type="button" class="chip" onClick={() => canvas.current?.visit(cluster)}>
                  <span class={`dot shade-${shades.get(cluster.id) ?? 0}`} aria-hidden="true" />
                  {cluster.name} <span class="n">{cluster.size}</span>
                </button>
              </li>
            ))}
          </ul>
        </nav>
      )}
    </>
  );
}

export default function MapView() {
  useEffect(() => {
    if (!answer.value || shown !== edition.value) void load();
  }, [edition.value]);
  void route.value;
  if (failure.value)
    return (
      <section class="page">
        <h1>Map</h1>
        <Notice bad={failure.value.status !== 404} title={failure.value.message} hint={failure.value.hint}>
          {failure.value.status === 404 && <MakeButton text="Make the map" />}
          <IconButton icon="loop" label="Try again" text="Try again" onClick={() => void load()} />
        </Notice>
      </section>
    );
  return (
    <section class="page map" aria-label="Map of the library">
      {answer.value ? <Landscape map={answer.value} /> : <p role="status">Loading the map …</p>}
    </section>
  );
}

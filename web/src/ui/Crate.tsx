// The collection: what was gathered, to be played, exported or dragged into another program.
import { count, length, moment, titleOf } from "../lib/format";
import { crateOpen } from "../state/app";
import { crate, emptyCrate, exportTracks, toggleCrate } from "../state/crate";
import { playAll, playing } from "../state/player";
import { IconButton, Notice } from "./parts";
import { DragHandle, isCurrent, playOrPause } from "./Row";

export function Crate() {
  if (!crateOpen.value) return null;
  const hits = crate.value;
  const tracks = () => hits.map((hit) => hit.track);
  return (
    <aside class="crate" aria-label="Collection">
      <header>
        <h2>Collection</h2>
        <span class="muted">{count(hits.length, "sound")}</span>
        <IconButton icon="close" label="Close the collection" onClick={() => (crateOpen.value = false)} />
      </header>
      {hits.length === 0 ? (
        <Notice title="Nothing yet" hint="Press + beside a sound (or the key c) to gather it here." />
      ) : (
        <>
          <div class="acts">
            <IconButton icon="play" label="Play all" text="Play all" kind="primary" onClick={() => playAll(hits)} />
            <IconButton icon="file" label="Export as m3u" text="m3u" onClick={() => void exportTracks(tracks(), "m3u", "collection")} />
            <IconButton icon="file" label="Export as csv" text="csv" onClick={() => void exportTracks(tracks(), "csv", "collection")} />
            <IconButton icon="close" label="Empty the collection" text="Empty" onClick={emptyCrate} />
          </div>
          <ul>
            {hits.map((hit) => (
              <li key={`${hit.track} ${hit.start}`}>
                <IconButton
                  icon={isCurrent(hit) && playing.value ? "pause" : "play"}
                  label={`Play ${titleOf(hit)}`}
                  onClick={() => playOrPause(hit)}
                />
                <span class="what">
                  {titleOf(hit)}
                  <small>{moment(hit.start, hit.end) || length(hit.duration)}</small>
                </span>
                <IconButton icon="close" label={`Take out ${titleOf(hit)}`} onClick={() => toggleCrate(hit)} />
                <DragHandle hit={hit} />
              </li>
            ))}
          </ul>
          <p class="muted">Drag a sound by its dots into another program: the moment arrives as a wav file.</p>
        </>
      )}
    </aside>
  );
}

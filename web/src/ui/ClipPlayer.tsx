// The example itself: its waveform, with the part that the selected answer matched, and its sound.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Peaks } from "../api/types";
import { length } from "../lib/format";
import { peaksOfSamples } from "../lib/peaks";
import { paint } from "../state/app";
import type { Clip } from "../state/clips";
import { audio } from "../state/player";
import { listed, selected } from "../state/search";
import { IconButton } from "./parts";
import { drawWave } from "./Waveform";

/** Above this a clip is not decoded just to draw it (bytes). */
const MOST = 30e6;

/** The outline of a clip, made by the browser itself; null where it cannot decode it. */
async function outline(clip: Clip): Promise<Peaks | null> {
  if (clip.blob.size > MOST) return null;
  const context = new OfflineAudioContext(1, 1, 22050);
  try {
    const sound = await context.decodeAudioData(await clip.blob.arrayBuffer());
    return peaksOfSamples(sound.getChannelData(0), sound.duration, 400);
  } catch {
    return null;
  }
}

function Outline({ peaks, at, onSeek }: { peaks: Peaks; at: number; onSeek: (seconds: number) => void }) {
  const ref = useRef<HTMLCanvasElement>(null);
  const hit = listed.value[Math.max(0, selected.value)];
  const [from, to] = [hit?.query_start ?? null, hit?.query_end ?? null];
  const painted = paint.value;
  useEffect(() => drawWave(ref.current!, peaks, from, to), [peaks, from, to, painted]);
  return (
    <div
      class="wave there"
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        onSeek(((event.clientX - box.left) / box.width) * peaks.duration);
      }}
    >
      <canvas ref={ref} role="img" aria-label="Waveform of the example, the part that was matched marked" />
      {at > 0 && <span class="playhead" style={{ left: `${Math.min(1, at / peaks.duration) * 100}%` }} />}
    </div>
  );
}

export function ClipPlayer({ clip }: { clip: Clip }) {
  const sound = useRef<HTMLAudioElement>(null);
  const [peaks, setPeaks] = useState<Peaks | null>(null);
  const [at, setAt] = useState(0);
  const [sounding, setSounding] = useState(false);
  useEffect(() => {
    let gone = false;
    void outline(clip).then((found) => gone || setPeaks(found));
    const quiet = () => sound.current?.pause();
    audio.addEventListener("play", quiet); // one sound at a time
    return () => {
      gone = true;
      audio.removeEventListener("play", quiet);
    };
  }, [clip]);
  const start = () => {
    audio.pause();
    void sound.current?.play();
  };
  return (
    <div class="clip-player" role="group" aria-label={`The example: ${clip.name}`}>
      <audio
        ref={sound}
        src={clip.url}
        onPlay={() => setSounding(true)}
        onPause={() => setSounding(false)}
        onTimeUpdate={(event) => setAt(event.currentTarget.currentTime)}
      />
      <IconButton
        icon={sounding ? "pause" : "play"}
        label={sounding ? "Pause the example" : "Play the example"}
        onClick={() => (sounding ? sound.current?.pause() : start())}
      />
      {peaks && (
        <Outline
          peaks={peaks}
          at={at}
          onSeek={(seconds) => {
            sound.current!.currentTime = seconds;
            start();
          }}
        />
      )}
      {peaks && <span class="muted">{length(peaks.duration)}</span>}
    </div>
  );
}

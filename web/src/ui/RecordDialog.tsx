// Record an example, a clip to identify or a hum: level, listen again, retry, use.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Mode } from "../lib/address";
import { clock } from "../lib/format";
import { MicrophoneError, record, type Recording } from "../lib/recorder";
import { can, recording } from "../state/app";
import { firstMode, keep, type Clip } from "../state/clips";
import { audio } from "../state/player";
import { ask } from "../state/route";
import { Dialog, IconButton, Notice } from "./parts";

const MOST_SECONDS = 30;
const PURPOSES: { mode: "search" | "identify" | "hum"; name: string; hint: string }[] = [
  { mode: "search", name: "Sounds like it", hint: "A sound, an instrument, a beat: two seconds are enough." },
  { mode: "identify", name: "Which recording?", hint: "Hold the microphone to the music for 5 to 10 seconds." },
  { mode: "hum", name: "Which tune?", hint: "Hum or sing the tune for 8 seconds, in any key." },
];

type Phase = "ready" | "starting" | "recording" | "done";

function Meter({ level }: { level: number }) {
  const decibels = Math.max(-60, 20 * Math.log10(level + 1e-6));
  const share = (decibels + 60) / 60;
  return (
    <div
      class={`meter ${share > 0.97 ? "hot" : ""}`}
      role="meter"
      aria-label="Level of the microphone"
      aria-valuemin={-60}
      aria-valuemax={0}
      aria-valuenow={Math.round(decibels)}
      aria-valuetext={`${Math.round(decibels)} decibels`}
    >
      <span style={{ transform: `scaleX(${share})` }} />
    </div>
  );
}

function useRecorder(onDone: (blob: Blob) => void) {
  const [phase, setPhase] = useState<Phase>("ready");
  const [level, setLevel] = useState(0);
  const [seconds, setSeconds] = useState(0);
  const [loudest, setLoudest] = useState(0);
  const [error, setError] = useState<MicrophoneError | null>(null);
  const running = useRef<Recording | null>(null);
  const stop = async () => {
    const now = running.current;
    running.current = null;
    if (!now) return;
    onDone(await now.stop());
    setPhase("done");
  };
  const start = async () => {
    setError(null);
    setPhase("starting");
    setLoudest(0);
    try {
      running.current = await record();
    } catch (failed) {
      setError(failed as MicrophoneError);
      return setPhase("ready");
    }
    const began = performance.now();
    setPhase("recording");
    const follow = () => {
      const now = running.current;
      if (!now) return;
      const passed = (performance.now() - began) / 1000;
      const loud = now.level();
      setLevel(loud);
      setLoudest((most) => Math.max(most, loud));
      setSeconds(passed);
      if (passed >= MOST_SECONDS) void stop();
      else setTimeout(follow, 60);
    };
    follow();
  };
  useEffect(() => () => running.current?.cancel(), []);
  return { phase, level, seconds, loudest, error, start, stop };
}

function Recorder({ purpose }: { purpose: "search" | "identify" | "hum" }) {
  const [mode, setMode] = useState<Mode>(() => (purpose === "search" ? firstMode() : purpose));
  const [clip, setClip] = useState<Clip | null>(null);
  const { phase, level, seconds, loudest, error, start, stop } = useRecorder((blob) =>
    setClip(keep(blob, `Recording of ${new Date().toLocaleTimeString()}`)),
  );
  const use = () => {
    recording.value = "";
    if (clip) ask({ clip: clip.id, mode, by: "" });
  };
  const begin = () => {
    audio.pause();
    setClip(null);
    void start();
  };
  const busy = phase === "recording";
  return (
    <div class="recorder">
      <fieldset class="segments">
        <legend>What do you want to know?</legend>
        {PURPOSES.filter((p) => can(p.mode === "search" ? "audio" : p.mode)).map((p) => (
          <label key={p.mode}>
            <input type="radio" name="purpose" checked={mode === p.mode} onChange={() => setMode(p.mode)} />
            <span>{p.name}</span>
          </label>
        ))}
      </fieldset>
      <p class="muted">{PURPOSES.find((p) => p.mode === mode)?.hint}</p>
      <button
        type="button"
        class={`record ${busy ? "busy" : ""}`}
        autofocus
        disabled={phase === "starting"}
        onClick={() => (busy ? void stop() : begin())}
      >
        {busy ? "Stop" : phase === "done" ? "Retry" : "Record"}
      </button>
      <Meter level={busy ? level : 0} />
      <p class="timer" role="timer">
        {clock(seconds, true)} <span class="muted">of at most 0:{MOST_SECONDS}</span>
      </p>
      {error && <Notice bad title={error.message} hint={error.hint} />}
      {phase === "done" && clip && (
        <div class="recorded">
          {loudest < 0.01 && <Notice bad title="That was almost silence" hint="Check the microphone's level, then retry." />}
          <audio controls src={clip.url} aria-label="What was recorded" />
          <IconButton icon="search" label="Use it" text="Use it" kind="primary" onClick={use} />
        </div>
      )}
    </div>
  );
}

export function RecordDialog() {
  const purpose = recording.value;
  return (
    <Dialog title="Record" open={purpose !== ""} onClose={() => (recording.value = "")}>
      {purpose && <Recorder purpose={purpose} />}
    </Dialog>
  );
}

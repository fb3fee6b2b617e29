// A melody made to be heard: notes have no sound of their own.

export interface Tune {
  times: number[];
  /** Semitones, as MIDI counts them or from any other zero; null where nothing sounds. */
  pitches: (number | null)[];
}

/** Semitone that stands for a melody whose zero is not known: its middle goes there. */
const MIDDLE = 64;

/** The semitones to sing: as they are if they look like MIDI's, else moved to where one hears well. */
export function audible(pitches: (number | null)[]): (number | null)[] {
  const known = pitches.filter((pitch): pitch is number => pitch !== null).sort((a, b) => a - b);
  if (!known.length) return pitches;
  const middle = known[known.length >> 1]!;
  const shift = middle >= 48 && middle <= 84 ? 0 : Math.round(MIDDLE - middle);
  return pitches.map((pitch) => (pitch === null ? null : pitch + shift));
}

/** Sing it with a soft tone; the answer stops it.  `onEnd` is called once, however it ends. */
export function sing({ times, pitches }: Tune, volume: number, onEnd: () => void): () => void {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { type: "triangle" });
  const gain = new GainNode(context, { gain: 0 });
  tone.connect(gain).connect(context.destination);
  const begin = context.currentTime + 0.05;
  const first = times[0] ?? 0;
  audible(pitches).forEach((pitch, i) => {
    const at = begin + times[i]! - first;
    if (pitch !== null) tone.frequency.setValueAtTime(440 * 2 ** ((pitch - 69) / 12), at);
    gain.gain.setTargetAtTime(pitch === null ? 0 : 0.3 * volume ** 2, at, 0.015);
  });
  const last = begin + (times[times.length - 1] ?? 0) - first;
  gain.gain.setTargetAtTime(0, last, 0.02);
  tone.onended = () => {
    void context.close();
    onEnd();
  };
  tone.start(begin);
  tone.stop(last + 0.15);
  return () => tone.stop();
}

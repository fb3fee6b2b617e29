// The microphone: level while recording, one blob at the end.

export interface Recording {
  stop: () => Promise<Blob>;
  cancel: () => void;
  /** The loudest sample of the last moment, 0 to 1. */
  level: () => number;
}

export class MicrophoneError extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

function reason(error: unknown): MicrophoneError {
  const name = (error as Error).name;
  if (name === "NotAllowedError" || name === "SecurityError")
    return new MicrophoneError("The browser may not use the microphone", "Allow it beside the address, then retry.");
  if (name === "NotFoundError" || name === "OverconstrainedError")
    return new MicrophoneError("No microphone was found", "Plug one in, or drop a file instead.");
  if (name === "NotReadableError")
    return new MicrophoneError("The microphone is in use", "Close the program that uses it, then retry.");
  return new MicrophoneError(`The microphone cannot be used: ${(error as Error).message}`, "Drop a file instead.");
}

async function opened(): Promise<MediaStream> {
  const media = navigator.mediaDevices as MediaDevices | undefined;
  if (!media?.getUserMedia || typeof MediaRecorder === "undefined")
    throw new MicrophoneError(
      "This page may not use the microphone",
      "Browsers allow it on https and on localhost only; drop a file instead.",
    );
  // What a telephone needs (echo and noise removed, gain that moves) spoils an example.
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await media.getUserMedia({ audio: plain });
  } catch (error) {
    throw reason(error);
  }
}

export async function record(): Promise<Recording> {
  const stream = await opened();
  const types = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
  const type = types.find((t) => MediaRecorder.isTypeSupported(t));
  const recorder = new MediaRecorder(stream, type ? { mimeType: type, audioBitsPerSecond: 128000 } : {});
  const parts: Blob[] = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const context = new AudioContext();
  void context.resume(); // some browsers let it begin suspended
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    void context.close();
  };
  recorder.start(250);
  return {
    level() {
      analyser.getFloatTimeDomainData(samples);
      return samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    },
    stop: () =>
      new Promise((resolve) => {
        recorder.onstop = () => {
          close();
          resolve(new Blob(parts, { type: (recorder.mimeType || "audio/webm").split(";")[0]! }));
        };
        recorder.stop();
      }),
    cancel() {
      if (recorder.state !== "inactive") recorder.stop();
      close();
    },
  };
}

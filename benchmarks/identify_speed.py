"""How fast music is indexed for `earmark identify`: each encoder alone, both, and from mp3.

    python benchmarks/identify_speed.py MUSIC... [--minutes 20]

Seconds of music for each second of processor time, on one thread: of the encoders on samples that
are decoded already, of decoding mp3 (128 kbit/s, stereo, 44.1 kHz, made of the music first) to
what they take, and of both together, which is what `earmark index` does for each file.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from earmark import audio, framing
from earmark.encoders.fingerprint import Fingerprint
from earmark.encoders.spectral import Spectral
from earmark.types import Clip

RATE = 44_100


def as_mp3(samples: np.ndarray) -> bytes:
    """Encode mono samples as a stereo mp3 file."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=RATE, layout="stereo")
        stream.bit_rate = 128_000
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.stack([pcm, pcm]), format="s16p", layout="stereo")
        frame.sample_rate = RATE
        for part in (frame, None):
            out.mux(stream.encode(part))
    return file.getvalue()


def cpu(work: Callable[[], object], *, repeats: int = 3) -> float:
    """The least processor time of some runs, in seconds, after one that warms up."""
    work()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("music", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    args = parser.parse_args()
    paths = sorted(
        p for f in args.music for p in ([f] if f.is_file() else f.rglob("*")) if p.is_file()
    )
    paths = [p for p in paths if p.suffix.lower() in audio.AUDIO_SUFFIXES]
    clips: list[Clip] = []
    files: list[bytes] = []
    total = 0.0
    for path in paths:
        if total >= args.minutes * 60.0:
            break
        clip = audio.read(str(path), sample_rate=RATE, salvage=True)
        if clip.duration < 20.0:
            continue
        total += clip.duration
        files.append(as_mp3(clip.samples))
        clips.append(audio.read_array(clip.samples, RATE, target_rate=8000))
    vectors, codes = Fingerprint(), Spectral()

    def encode(encoder: Fingerprint | Spectral) -> float:
        return cpu(lambda: [framing.encode_clip(encoder, clip) for clip in clips])

    def decode() -> list[Clip]:
        return [audio.read(io.BytesIO(file), sample_rate=8000) for file in files]

    of_vectors, of_codes, decoding = encode(vectors), encode(codes), cpu(decode)
    spent = {
        "fingerprint": of_vectors,
        "spectral": of_codes,
        "both": of_vectors + of_codes,
        "decoding mp3": decoding,
        "both, from mp3": decoding + of_vectors + of_codes,
        "spectral, from mp3": decoding + of_codes,
    }
    result = {name: round(total / seconds) for name, seconds in spent.items()}
    print(json.dumps({"minutes": round(total / 60.0, 1)} | result, indent=2))


if __name__ == "__main__":
    main()

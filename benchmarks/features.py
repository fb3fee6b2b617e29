"""How fast features are, in times real time on one core, against librosa in the same run.

    python benchmarks/features.py [--seconds 300] [--repeat 5]

Prints the machine's state, then one line per feature and one for the `timbre` encoder's profile
`zounds` (target: 2,000 times real time), whole recordings and short ones.  Time is the processor's,
of one thread, and the best of several runs counts.  librosa is asked for the same numbers of the
same sound; it is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

from earmark import encoders, features, framing
from earmark.types import Clip, FittedEncoder, Float32Array

RATE = features.SAMPLE_RATE


def sound(seconds: float) -> Float32Array:
    """Notes of changing pitch and brightness, with noise."""
    rng = np.random.default_rng(0)
    n = round(seconds * RATE)
    hz = np.repeat(110 * 2 ** rng.uniform(0, 3, n // 5000 + 1), 5000)[:n]
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    tones = sum(np.sin(k * phase) / k ** rng.uniform(0.5, 2) for k in range(1, 8))
    return (0.1 * tones + 0.02 * rng.standard_normal(n)).astype(np.float32)


def best(run: Callable[[], object], repeat: int) -> float:
    """Shortest processor time of several runs, in seconds; one to fill caches goes before."""
    run()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def librosa_twins(samples: Float32Array) -> Mapping[str, Callable[[], object]]:
    """What a user of librosa would call for the same features, with the same frames."""
    try:
        import librosa
    except ImportError:
        return {}
    feature, kwargs = librosa.feature, {"y": samples, "sr": RATE, "n_fft": 1024, "hop_length": 512}
    return {
        "log_mel": lambda: librosa.power_to_db(feature.melspectrogram(**kwargs)),
        "mfcc": lambda: feature.mfcc(**kwargs, n_mfcc=20),
        "chroma": lambda: feature.chroma_stft(**{**kwargs, "n_fft": 4096}, tuning=0),
        "spectral_contrast": lambda: feature.spectral_contrast(**kwargs),
        "centroid": lambda: feature.spectral_centroid(**kwargs),
        "bandwidth": lambda: feature.spectral_bandwidth(**kwargs),
        "rolloff": lambda: feature.spectral_rolloff(**kwargs),
        "flatness": lambda: feature.spectral_flatness(y=samples, n_fft=1024, hop_length=512),
        "rms": lambda: feature.rms(y=samples, frame_length=1024, hop_length=512),
    }


def bench_features(samples: Float32Array, repeat: int) -> None:
    seconds, others = len(samples) / RATE, librosa_twins(samples)
    print(f"{'feature':<20}{'x real time':>14}{'librosa':>14}{'ratio':>9}")
    for name in features.FEATURES:
        ours = seconds / best(lambda name=name: features.compute(name, samples, RATE), repeat)
        line = f"{name:<20}{ours:>14,.0f}"
        if name in others:
            theirs = seconds / best(others[name], repeat)
            line += f"{theirs:>14,.0f}{ours / theirs:>9.2f}"
        print(line)


def bench_zounds(samples: Float32Array, repeat: int) -> None:
    encoder = encoders.create("timbre", options={"profile": "zounds"})
    if not isinstance(encoder, FittedEncoder):
        raise SystemExit("the profile zounds must be one that is fitted")
    window, hop = framing.window_samples(encoder.spec)
    rows = encoder.training_rows(framing.frame(samples, window, hop))
    start = time.process_time()
    state = encoder.fit(rows, seed=0)
    print(f"\ncodebook of {len(rows):,} frames: {time.process_time() - start:.2f} s")
    fitted = encoder.with_state(state)
    for seconds in (1, 3, 10, len(samples) / RATE):
        clip = Clip(samples[: round(seconds * RATE)], RATE)
        calls = max(1, round(60 / seconds))

        def run(clip: Clip = clip, calls: int = calls) -> None:
            for _ in range(calls):
                framing.encode_clip(fitted, clip)

        speed = calls * clip.duration / best(run, repeat)
        print(f"zounds, clips of {clip.duration:>5.0f} s{speed:>12,.0f} x real time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Numerical libraries read it when they are loaded, which they are by now: begin again.
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"}
        )
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load}, numpy {np.__version__},")
    print(f"Python {platform.python_version()}, one thread, {args.seconds:.0f} s of sound\n")
    samples = sound(args.seconds)
    bench_features(samples, args.repeat)
    bench_zounds(samples, args.repeat)


if __name__ == "__main__":
    main()

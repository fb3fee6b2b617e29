"""The semantic encoders against the plain way, one core each, end to end from MP3.

    python benchmarks/semantic.py [--encoders clap,panns,vggish] [--clips 6] [--rounds 3]

The plain way is what the model's own page shows: librosa decodes a file, the reference features
are computed, the PyTorch network runs on it, one file at a time.  Ours is what a worker does:
decode, window, features, graph.  Weights are random, of the real size and in the published
format; the files are noise with tones, 10 s, made with PyAV in a temporary folder.  Rounds of both
alternate; printed are the medians of seconds per clip by the clock and by the processor's time,
which a busy machine disturbs less, their ratio, and the memory of a process that only encodes.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from earmark import audio, encoders, framing
from earmark.config import Settings

SECONDS = 10
NAME = "larger_clap_music_and_speech"

_MEMORY = """
import json, sys
from earmark import encoders, framing
from earmark.config import Settings
from earmark import audio
name, models, cache, path = sys.argv[1:]
encoder = encoders.create(name, settings=Settings(models=models, cache=cache))
clip = audio.read(path, sample_rate=encoder.spec.sample_rate)
for _ in range(3):
    framing.encode_clip(encoder, clip)
text = open("/proc/self/status").read()
peak = int(text.split("VmHWM:")[1].split()[0]) / 1e3
if hasattr(encoder, "encode_text"):
    encoder.encode_text(["a dog barks"])
text = open("/proc/self/status").read()
print(json.dumps([peak, int(text.split("VmHWM:")[1].split()[0]) / 1e3]))
"""


def make_clips(folder: Path, count: int) -> list[Path]:
    """MP3 files of noise with tones, 10 s."""
    import av

    paths = []
    for i in range(count):
        rng = np.random.default_rng(i)
        t = np.arange(44_100 * SECONDS) / 44_100
        sound = 0.2 * rng.normal(size=len(t)) + 0.3 * np.sin(2 * np.pi * 220 * (i + 1) * t)
        path = folder / f"{i}.mp3"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libmp3lame", rate=44_100)
            frame = av.AudioFrame.from_ndarray(
                np.clip(sound, -1, 1).astype(np.float32)[None], format="fltp", layout="mono"
            )
            frame.sample_rate = 44_100
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        paths.append(path)
    return paths


def make_models(folder: Path, wanted: list[str]) -> None:
    """Random weights of the real size, in the published formats."""
    import torch

    torch.manual_seed(0)
    if "clap" in wanted:
        _make_clap(folder / NAME)
    if "panns" in wanted:
        from earmark.encoders.networks.cnn14 import Cnn14

        torch.save({"model": Cnn14().state_dict()}, folder / "Cnn14_mAP=0.431.pth")
    if "vggish" in wanted:
        from earmark.encoders.networks.vggish import Vggish

        torch.save(Vggish().state_dict(), folder / "vggish-10086976.pth")


def _make_clap(folder: Path) -> None:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import ClapConfig, ClapModel

    config = ClapConfig(
        text_config={"projection_dim": 512, "initializer_factor": 1.0},
        audio_config={
            "depths": [2, 2, 12, 2],
            "num_attention_heads": [4, 8, 16, 32],
            "patch_embeds_hidden_size": 128,
            "hidden_size": 1024,
            "enable_fusion": False,
        },
    )
    config.save_pretrained(folder)
    torch.save(ClapModel(config).state_dict(), folder / "pytorch_model.bin")
    tokenizer = ByteLevelBPETokenizer()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(["a dog barks"], special_tokens=tokens, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))


def plain_clap(models: Path) -> Callable[[Path], Any]:
    """The example of the model's page."""
    import librosa
    from transformers import ClapFeatureExtractor, ClapModel

    network = ClapModel.from_pretrained(models / NAME).eval()
    extractor = ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc", padding="repeatpad")

    def encode(path: Path) -> Any:
        samples, _ = librosa.load(path, sr=48_000, mono=True)
        given = extractor(samples[:480_000], sampling_rate=48_000, return_tensors="pt")
        return network.get_audio_features(**given)

    return encode


def plain_network(name: str, models: Path) -> Callable[[Path], Any]:
    """PyTorch on one file at a time, without gradients."""
    import librosa
    import torch

    from earmark.encoders import panns, vggish
    from earmark.weights.tensors import read_checkpoint

    module: Any = {"panns": panns, "vggish": vggish}[name]
    file = {"panns": "Cnn14_mAP=0.431.pth", "vggish": "vggish-10086976.pth"}[name]
    recipe = module.recipe()
    network = recipe.build(read_checkpoint(models / file, key=recipe.key), file)
    rate = module.FRONT.sample_rate

    def encode(path: Path) -> Any:
        samples, _ = librosa.load(path, sr=rate, mono=True)
        whole = samples[: rate * SECONDS]
        if name == "vggish":  # the windows of 4 s every 2 s that ours encodes
            starts = framing.window_starts(len(whole), 4 * rate, 2 * rate)
            windows = np.stack([whole[i : i + 4 * rate] for i in starts])
        else:
            windows = np.pad(whole, (0, rate * SECONDS - len(whole)))[None]
        with torch.inference_mode():
            return [network(torch.from_numpy(module.features(w[None]))) for w in windows]

    return encode


def ours(name: str, settings: Settings) -> Callable[[Path], Any]:
    """What a worker does with a file."""
    encoder = encoders.create(name, settings=settings)
    rate = encoder.spec.sample_rate

    def encode(path: Path) -> Any:
        clip = audio.read(str(path), sample_rate=rate)
        clip = type(clip)(clip.samples[: rate * SECONDS], rate)
        return framing.encode_clip(encoder, clip)

    return encode


def timed(encode: Callable[[Path], Any], paths: list[Path]) -> tuple[float, float]:
    """Seconds per clip by the clock and by the processor's time."""
    clock, processor = time.perf_counter(), time.process_time()
    for path in paths:
        encode(path)
    n = len(paths)
    return (time.perf_counter() - clock) / n, (time.process_time() - processor) / n


def compare(name: str, models: Path, cache: Path, clips: list[Path], rounds: int) -> None:
    """Print one encoder's line."""
    settings = Settings(models=str(models), cache=str(cache))
    began = time.perf_counter()
    fast = ours(name, settings)
    ready = time.perf_counter() - began
    slow = plain_clap(models) if name == "clap" else plain_network(name, models)
    for encode in (fast, slow):
        encode(clips[0])
    taken = [(timed(slow, clips), timed(fast, clips)) for _ in range(rounds)]
    plain_wall, plain_cpu = np.median([plain for plain, _ in taken], axis=0)
    our_wall, our_cpu = np.median([our for _, our in taken], axis=0)
    found = subprocess.run(
        [sys.executable, "-c", _MEMORY, name, str(models), str(cache), str(clips[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    encoding, with_text = json.loads(found.stdout)
    notes = sorted((cache / "converted").glob("*.json"), key=lambda path: path.stat().st_mtime)
    forms = [json.loads(path.read_text()) for path in notes if "text" not in path.name]
    form = forms[-1] if ready > 1 and forms else {}
    if form.get("int8"):
        print(f"{name}: 8 bits by {form['backend']}")
    print(
        f"{name:<8} plain {plain_wall * 1e3:6.0f} ms ({plain_cpu * 1e3:6.0f} ms of processor)   "
        f"ours {our_wall * 1e3:6.0f} ms ({our_cpu * 1e3:6.0f})   "
        f"ratio {plain_wall / our_wall:4.1f} ({plain_cpu / our_cpu:4.1f})   "
        f"memory {encoding:5.0f} MB, with text {with_text:5.0f} MB   conversion {ready:4.1f} s",
        flush=True,
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", default="clap,panns,vggish")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the plain way's PyTorch")
    parser.add_argument("--keep", type=Path, help="a folder that keeps weights and conversions")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    wanted = args.encoders.split(",")
    with tempfile.TemporaryDirectory(prefix="earmark-benchmark-") as folder:
        root = args.keep or Path(folder)
        models, cache = root / "models", root / "cache"
        if not models.is_dir():
            models.mkdir(parents=True)
            make_models(models, wanted)
        clips = make_clips(Path(folder), args.clips)
        for name in wanted:
            compare(name, models, cache, clips, args.rounds)


if __name__ == "__main__":
    main()

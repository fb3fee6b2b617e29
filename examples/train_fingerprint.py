"""Train the fingerprint network and the spectral code that come with earmark, from nothing.

    python examples/train_fingerprint.py WORK --rooms FOLDER --scenes FOLDER [--hours 1.4]

Needs Debian (music is fetched with ``apt-get download``, voices are spoken by ``espeak-ng``) and
``pip install "earmark[train]"``.  Everything is kept in WORK; a run that was stopped goes on.
`--rooms` and `--scenes` are folders of impulse responses and of background recordings.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from earmark import audio
from earmark.training import spectral
from earmark.training.degrade import NoiseBank
from earmark.training.fingerprint import prepare
from earmark.training.fingerprint.augment import Augmenter
from earmark.training.fingerprint.config import OptimizerConfig, TrainConfig
from earmark.training.fingerprint.data import Sampler, read_manifest
from earmark.training.fingerprint.export import export_onnx, quantize
from earmark.training.fingerprint.train import TrainData, Trainer, latest_checkpoint

PACKAGES = [
    "0ad-data",
    "abe-data",
    "adonthell-data",
    "amoebax-data",
    "angrydd",
    "ardentryst",
    "asc-music",
    "biniax2-data",
    "brainparty-data",
    "btanks-data",
    "bumprace-data",
    "caveexpress-data",
    "ceferino-data",
    "colobot-common-sounds",
    "criticalmass-data",
    "cube2-data",
    "endless-sky-data",
    "enigma-data",
    "extremetuxracer-data",
    "fb-music-high",
    "fillets-ng-data",
    "frozen-bubble-data",
    "glob2-data",
    "gunroar-data",
    "holotz-castle-data",
    "hyperrogue-music",
    "lincity-ng-data",
    "lordsawar-data",
    "lugaru-data",
    "madbomber-data",
    "marsshooter-data",
    "megaglest-data",
    "monsterz-data",
    "mu-cade-data",
    "naev-data",
    "neverball-common",
    "nexuiz-music",
    "noiz2sa-data",
    "openarena-data",
    "parsec47-data",
    "pathological",
    "pinball-data",
    "pingus-data",
    "planetblupi-music-ogg",
    "plee-the-bear-data",
    "powermanga-data",
    "pushover-data",
    "rafkill-data",
    "redeclipse-data",
    "ri-li-data",
    "rrootage-data",
    "scorched3d-data",
    "seahorse-adventures",
    "starfighter-data",
    "supertuxkart-data",
    "tecnoballz-data",
    "teeworlds-data",
    "titanion-data",
    "toppler",
    "torus-trooper-data",
    "trackballs-data",
    "tumiki-fighters-data",
    "tuxfootball",
    "tuxmath-data",
    "tuxtype-data",
    "ufoai-music",
    "unknown-horizons",
    "val-and-rick-data",
    "widelands-data",
    "wizznic-data",
    "xmoto-data",
    "zaz-data",
]

HELD_OUT = {
    "ardentryst",
    "btanks-data",
    "enigma-data",
    "hyperrogue-music",
    "pushover-data",
    "trackballs-data",
    "zaz-data",
}
"""Never trained on: for the search test while training, and for the calibration."""

UNSEEN = ("wesnoth", "warzone2100", "singularity", "supertux-", "flare", "hedgewars", "freedroid")
"""Left for final figures: never trained on, nor anything chosen by them."""

VOICES = [
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "fr-fr",
    "es",
    "es-419",
    "pt",
    "pt-br",
    "it",
    "de",
    "nl",
    "sv",
    "nb",
    "da",
    "ru",
    "pl",
    "tr",
    "id",
    "ca",
    "hr",
    "sk",
    "bg",
    "lv",
    "lt",
    "sq",
    "eo",
    "ms",
    "sw",
    "vi",
    "et",
]


def fetch(package: str, folder: Path) -> None:
    """Download and unpack one package, and the archives in it."""
    if package.startswith(UNSEEN):
        raise ValueError(f"{package} is left for final figures")
    if (folder / package).exists():
        return
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", package], cwd=debs, check=True)
    part = folder / f"{package}.part"
    for deb in debs.glob(f"{package}_*.deb"):
        subprocess.run(["dpkg", "-x", str(deb), str(part)], check=True)
    for path in [*part.rglob("*.pk3"), *part.rglob("*.zip")]:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if Path(name).suffix.lower() in audio.AUDIO_SUFFIXES:
                    archive.extract(name, path.with_name(path.name + ".d"))
    part.rename(folder / package)


def split_of(path: Path, music: Path) -> str:
    """Which split a file belongs to: what is no music becomes noise, or nothing."""
    relative = path.relative_to(music)
    package, text = relative.parts[0], str(relative)
    if package == "debs" or re.search(r"/(speech|voice|tutorial|sfx)/|tutorial", text):
        return "skip"
    if re.search(r"/(ambient|ambience)/|/(wind|rain|waterfall|forest)\w*\.(ogg|wav)$", text):
        return "noise"
    if package == "megaglest-data" and "/music/" not in text:
        return "noise"
    return "val" if package in HELD_OUT else "train"


def speak(folder: Path, *, utterances: int = 150, seed: int = 7) -> None:
    """Speak licence texts in many voices; test babble uses other voices and texts."""
    if folder.exists():
        return
    rng = random.Random(seed)
    texts = sorted(Path("/usr/share/common-licenses").glob("*"))
    words = " ".join(path.read_text(errors="ignore") for path in texts)
    sentences = re.split(r"[.;:]\s", re.sub(r"[^A-Za-z ,.;:]", " ", words))
    sentences = [s.strip() for s in sentences if 40 < len(s) < 300]
    part = folder.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    for i in range(utterances):
        voice = VOICES[i % len(VOICES)] + rng.choice(("", "+m1", "+m4", "+m6", "+f1", "+f3", "+f5"))
        options = ["-v", voice, "-s", str(rng.randint(120, 210)), "-p", str(rng.randint(20, 80))]
        text = ". ".join(rng.sample(sentences, 4))
        target = part / f"{i:04d}.wav"
        subprocess.run(["espeak-ng", *options, "-w", str(target), text], check=True)
    part.rename(folder)


def noise_of(work: Path, scenes: Iterable[Path]) -> NoiseBank:
    """Speech, and scenes with the sounds of nature and engines that games come with."""
    recordings = [r for folder in scenes for r in prepare.load_recordings(folder)] * 3
    for piece in read_manifest(work / "pcm", split="noise"):
        recordings.append(piece.read(0, min(piece.samples, 480_000)))
    return prepare.noise_bank(prepare.load_recordings(work / "speech"), recordings)


def ship(run: Path, data: TrainData, target: Path) -> None:
    """Export the last checkpoint, 8-bit; ranges are taken from a batch of training pairs."""
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        raise FileNotFoundError(f"{run} has no checkpoint")
    config = TrainConfig()
    made = Augmenter(
        config.augment, config.front, data.noise, data.rooms, rng=np.random.default_rng(5)
    )
    sampler = Sampler(data.train, length=made.source_length, begin=made.source_begin)
    features = np.concatenate(
        [f.numpy() for f in made.pairs(sampler.draw(256, np.random.default_rng(6)))]
    )
    target.mkdir(parents=True, exist_ok=True)
    export_onnx(checkpoint, run / "float.onnx", card=run.name)
    revision = quantize(run / "float.onnx", target / "fingerprint.onnx", features)
    logging.info("wrote %s, revision %s", target / "fingerprint.onnx", revision)


def main() -> None:
    """Fetch, prepare, train, export."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--rooms", type=Path, required=True)
    parser.add_argument("--scenes", type=Path, nargs="+", required=True)
    parser.add_argument("--hours", type=float, default=1.4, help="time for training")
    parser.add_argument("--pairs", type=int, default=128)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    music = args.work / "music"
    for package in PACKAGES:
        fetch(package, music)
    speak(args.work / "speech")
    prepared = prepare.prepare_music(
        [music],
        args.work / "pcm",
        split_of=lambda path: split_of(path, music),
        group_of=lambda path: path.relative_to(music).parts[0],
    )
    logging.info("%s, %d files failed", prepared.pieces, len(prepared.failed))
    data = TrainData(
        read_manifest(args.work / "pcm", split="train"),
        read_manifest(args.work / "pcm", split="val"),
        noise_of(args.work, args.scenes),
        prepare.load_recordings(args.rooms),
    )
    weights = args.work / "weights"
    weights.mkdir(exist_ok=True)
    directions = spectral.fit(data.train, data.noise, config=spectral.SpectralTraining(pairs=6000))
    spectral.save(directions, weights / "spectral.npz")
    config = TrainConfig(optimizer=OptimizerConfig(pairs=args.pairs, steps=100_000, bfloat16=True))
    Trainer(config, data, args.work / "run").run(time_limit=args.hours * 3600)
    ship(args.work / "run", data, weights)


if __name__ == "__main__":
    main()

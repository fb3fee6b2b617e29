"""A run by its name: which configuration holds, where it lies, and its three jobs.

What the command line calls.  A run lies in ``<output>/<name>``: ``config.json``, checkpoints,
``log.jsonl``, pictures, ``tensorboard/``, and below ``embeddings/<checkpoint>`` what `generate`
has written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.errors import NotAvailable, UsageError
from earmark.training.nafp import generate as writing
from earmark.training.nafp.config import Config, preset
from earmark.training.nafp.config_file import load_config
from earmark.training.nafp.layout import test_set
from earmark.training.nafp.shipped import NAME as SHIPPED
from earmark.types import Failure

if TYPE_CHECKING:
    from earmark.training.nafp.encoding import SegmentEncoder
    from earmark.training.nafp.export import Exported
    from earmark.training.nafp.loop import Step

DEFAULT = "default"
"""The name of a run that is given none."""

_RUN_NAME = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True)
class Settings:
    """How a configuration was asked for; `preset` and `file` may be empty."""

    preset: str = ""
    file: Path | None = None
    options: tuple[str, ...] = ()
    runs: str = ""


@dataclass(frozen=True)
class Trained:
    """What training did."""

    name: str
    checkpoint: str
    epoch: int
    steps: int
    loss: float | None
    top1: dict[int, float]
    failed: tuple[Failure, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **{k: v for k, v in vars(self).items() if k not in ("failed", "top1")},
            "top1": {str(n): share for n, share in self.top1.items()},
            "failed": [vars(failure) for failure in self.failed],
        }


def resolve(name: str, asked: Settings) -> Config:
    """Return the configuration that holds for a run.

    A configuration file, or a preset, is taken for the whole; options alone change what the run
    has been made with.

    Raises
    ------
    UsageError
        If the name or a setting is not allowed.
    """
    if not _RUN_NAME.fullmatch(name):
        raise UsageError(f"a run's name must be letters, digits, '.', '-' and '_', got {name!r}")
    options = (*asked.options, *([f"folders.output={asked.runs}"] if asked.runs else []))
    base = preset(asked.preset) if asked.preset else None
    config = load_config(asked.file, options, base=base)
    stored = Path(config.folders.output) / name / "config.json"
    if asked.file is None and not asked.preset and stored.is_file():
        found = load_config(stored)
        here = replace(found, folders=replace(found.folders, output=config.folders.output))
        return load_config(None, options, base=here)
    return config


def default_name(asked: Settings) -> str:
    """Return the run that is meant without a name: `DEFAULT`, else the package's network."""
    folder = Path(resolve(DEFAULT, asked).folders.output) / DEFAULT
    return DEFAULT if (folder / "config.json").is_file() else SHIPPED


def need_torch() -> None:
    """Raise `NotAvailable` where PyTorch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise NotAvailable(
            "trained networks need PyTorch", hint="pip install 'earmark[train]'"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process from training the same run; a lock goes with its process."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"a run is trained by one process at a time, and another one trains {folder}",
                hint="wait for it, or give this run another name",
            ) from error
        yield


def train(
    name: str,
    asked: Settings,
    *,
    resume: str = "latest",
    epochs: int | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Trained:
    """Train a run, new or resumed; see `earmark.training.nafp.loop.Trainer`."""
    config = resolve(name, asked)
    need_torch()
    from earmark.training.nafp.loop import Trainer
    from earmark.training.nafp.music import open_music

    music = open_music(config)
    with _alone(Path(config.folders.output) / name):
        trainer = Trainer(config, name, music, resume=resume)
        try:
            place = trainer.run(epochs=epochs, on_step=on_step)
        finally:
            trainer.journal.close()
    return Trained(
        name=name,
        checkpoint=str(trainer.folder / f"ckpt-{place.label}.pt"),
        epoch=place.epoch,
        steps=place.epoch * trainer.steps,
        loss=None if trainer.loss != trainer.loss else trainer.loss,
        top1=trainer.tested.top1 if trainer.tested else {},
        failed=(*music.failed, *trainer.sampler.failed.values()),
    )


def generate(
    name: str,
    asked: Settings,
    *,
    which: str = "latest",
    source: Path | None = None,
    target: Path | None = None,
    skip_dummy: bool = False,
    queries: bool = True,
    fresh: bool = False,
    seed: int = 0,
    on_track: Callable[[writing.Progress], None] | None = None,
) -> writing.Generated:
    """Write fingerprints by a run's checkpoint, or by the network that is ``shipped``.

    Parameters
    ----------
    name : str
        Of a run, or ``shipped``.
    asked : Settings
    which : str
        The checkpoint's number, or ``latest``.
    source : Path, optional
        Any folder, in place of the configuration's test set.
    target : Path, optional
        Where to write; default ``embeddings`` in the run's folder.
    skip_dummy : bool
        Write no ``dummy_db``.
    queries : bool
        Where the test set has no queries, make them by degrading its tracks.
    fresh : bool
        Make them also where it has some.
    seed : int
        Of these degradations.
    on_track : callable, optional

    Raises
    ------
    CheckpointMismatch
        If the checkpoint was made with another configuration.
    """
    config = resolve(name, asked)
    given = test_set(config, source, skip_dummy=skip_dummy)
    if fresh:
        given = replace(given, query=None)
    if name == SHIPPED:
        from earmark.training.nafp.shipped import ShippedEncoder

        encoder: Any = ShippedEncoder()
        config = replace(config, features=encoder.features)
        label = encoder.identity["revision"]
    else:
        need_torch()
        from earmark.training.nafp import checkpoint, trained

        path = checkpoint.find(Path(config.folders.output) / name, which)
        encoder = trained.load(path, wanted=config, device=config.run.device)
        label = path.stem.removeprefix("ckpt-")
    folder = target or Path(config.folders.output) / name / "embeddings" / label
    degrade: writing.Encode | None = None
    unusable: tuple[Failure, ...] = ()
    if given.query is None and queries:
        degrade, unusable = _degrader(encoder, config, seed)
    cache = Path(config.folders.cache or Path(config.folders.output) / "cache")
    made = writing.generate(
        encoder, given, folder, cache=cache, seed=seed, degrade=degrade, on_track=on_track
    )
    return replace(made, others=unusable)


def _degrader(
    encoder: SegmentEncoder, config: Config, seed: int
) -> tuple[writing.Encode, tuple[Failure, ...]]:
    """What makes queries of tracks, and which of its recordings could not be used."""
    need_torch()
    from earmark.training.nafp.minisearch import degrader
    from earmark.training.nafp.music import open_degradations

    noise = open_degradations(config, testing=True)
    noise.warn()
    return degrader(encoder, config, noise.recordings, seed=seed), tuple(noise.failed)


def export(name: str, which: str, runs: str, target: Path | None) -> Exported:
    """Write a checkpoint as a file for ``earmark index``; see `earmark.training.nafp.export`.

    Parameters
    ----------
    name : str
        Of a run, or a checkpoint's file.
    which : str
        The checkpoint's number, or ``latest``.
    runs : str
        The folder of runs; empty for the usual one.
    target : Path, optional
        Default the run's name and the checkpoint's number, in the run's folder.
    """
    need_torch()
    from earmark.training.nafp import checkpoint
    from earmark.training.nafp import export as exporting

    path = Path(name)
    if path.suffix != ".pt":
        path = checkpoint.find(Path(runs or Config().folders.output) / name, which)
    label = path.stem.removeprefix("ckpt-")
    made = target or path.with_name(f"{path.absolute().parent.name}-{label}.onnx")
    return exporting.export(path, made)


def embeddings_of(name: str, which: str, runs: Sequence[str]) -> Path:
    """Return the folder of fingerprints of a run, the newest unless numbered; or a folder named.

    Raises
    ------
    UsageError
        If there is none.
    """
    if (Path(name) / "db.mm").is_file():
        return Path(name)
    base = Path(runs[0] if runs else Config().folders.output) / name / "embeddings"
    found = {p.parent.name: p.parent for p in sorted(base.glob("*/db.mm"))}
    wanted = f"{int(which):04d}" if which.isascii() and which.isdigit() else which
    if which == "latest" and found:
        return max(found.values(), key=lambda p: ((p / "db.mm").stat().st_mtime_ns, p.name))
    if wanted not in found:
        raise UsageError(
            f"there are no fingerprints of {name!r}"
            + (f", checkpoint {which!r}" if which != "latest" else ""),
            hint=f"there are {', '.join(found)}"
            if found
            else f"earmark fingerprint generate {name}",
        )
    return found[wanted]

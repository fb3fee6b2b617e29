"""``earmark fingerprint``: train a fingerprinter, make fingerprints with it, measure them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from earmark.cli import common
from earmark.moments import format_time

if TYPE_CHECKING:
    from earmark.evaluate.fingerprint_files import Bench
    from earmark.evaluate.fingerprints import Report
    from earmark.training.nafp.generate import Progress
    from earmark.training.nafp.loop import Step
    from earmark.training.nafp.running import Settings
    from earmark.types import Failure

F = TypeVar("F", bound=Callable[..., Any])

INTERVAL = 10.0
"""Seconds between two lines of progress."""

_FILE = click.Path(path_type=Path)


@click.group()
def fingerprint() -> None:
    """Train the fingerprinter, and examine what it makes.

    A run has a NAME and lies in a folder of that name; guide: docs/fingerprint-training.md.
    """


def _settings_options(function: F) -> F:
    """The options that say which configuration holds."""
    for option in (
        click.option("--runs", metavar="DIR", default="", help="Where runs lie [fingerprints]."),
        click.option(
            "--set",
            "options",
            multiple=True,
            metavar="PART.NAME=VALUE",
            help="Over the configuration; may be repeated.",
        ),
        click.option("--config", type=_FILE, help="A configuration, as TOML."),
    ):
        function = option(function)
    return function


def _asked(config: Path | None, options: tuple[str, ...], runs: str, preset: str = "") -> Settings:
    from earmark.training.nafp.running import Settings

    return Settings(preset=preset, file=config, options=options, runs=runs)


@fingerprint.command()
@click.argument("name", required=False)
@click.option("--preset", type=click.Choice(["published", "compact"]), help="Where to begin from.")
@_settings_options
@click.option("--resume", metavar="N", default="latest", show_default=True, help="Checkpoint.")
@click.option("--epochs", type=click.IntRange(min=1), help="Stop after as many of all epochs.")
@click.option("--print-config", is_flag=True, help="Print the configuration that holds, and stop.")
@common.json_option
@common.library_option
def train(
    library: str | None,
    as_json: bool,
    name: str | None,
    preset: str | None,
    config: Path | None,
    options: tuple[str, ...],
    runs: str,
    resume: str,
    epochs: int | None,
    print_config: bool,
) -> int:
    """Train the run NAME ('default'), from its latest checkpoint if it has one.

    Exit code 1: it was trained, but some files could not be used.
    """
    from earmark.training.nafp import config_file, running

    asked = _asked(config, options, runs, preset or "")
    if print_config:
        print(config_file.to_toml(running.resolve(name or running.DEFAULT, asked)), end="")
        return 0
    trained = running.train(
        name or running.DEFAULT, asked, resume=resume, epochs=epochs, on_step=_on_step()
    )
    if as_json:
        common.print_json(trained.to_json())
    else:
        print(f"{trained.checkpoint}  epoch {trained.epoch}, {trained.steps} steps")
        for length, share in trained.top1.items():
            print(f"  {length:>2} rows: top-1 {100 * share:.1f} %")
    return _failures(trained.failed)


@fingerprint.command()
@click.argument("name", required=False)
@click.argument("checkpoint", required=False, default="latest")
@click.option("--source", type=_FILE, help="Any folder of recordings, in place of the test set.")
@click.option(
    "--to", "--output", "target", type=_FILE, help="Where to write [embeddings/ in the run]."
)
@click.option("--skip-dummy", is_flag=True, help="Leave the many others out.")
@click.option("--no-queries", is_flag=True, help="Make no queries where the set has none.")
@click.option("--fresh-queries", is_flag=True, help="Degrade the tracks for queries of our own.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_settings_options
@common.json_option
@common.library_option
def generate(
    library: str | None,
    as_json: bool,
    name: str | None,
    checkpoint: str,
    source: Path | None,
    target: Path | None,
    skip_dummy: bool,
    no_queries: bool,
    fresh_queries: bool,
    seed: int,
    config: Path | None,
    options: tuple[str, ...],
    runs: str,
) -> int:
    """Write the fingerprints of a test set by the run NAME ('shipped': the package's network).

    Without NAME the run 'default', or the package's network where there is none.  Writes db.mm,
    query.mm and dummy_db.mm (float32) with their shapes; goes on where it was stopped.
    CHECKPOINT is a number.  Exit code 1: some files could not be used.
    """
    from earmark.training.nafp import running

    asked = _asked(config, options, runs)
    made = running.generate(
        name or running.default_name(asked),
        asked,
        which=checkpoint,
        source=source,
        target=target,
        skip_dummy=skip_dummy,
        queries=not no_queries or fresh_queries,
        fresh=fresh_queries,
        seed=seed,
        on_track=_on_track(),
    )
    if as_json:
        parts = {p.name: {"tracks": p.tracks, "rows": p.rows} for p in made.parts}
        failed = [vars(failure) for failure in made.failed]
        common.print_json(
            {"folder": str(made.folder), **made.made_by, "parts": parts, "failed": failed}
        )
    else:
        print(made.folder)
        for part in made.parts:
            print(f"{part.name:<9} {part.rows} rows of {part.tracks} recordings")
    return _failures(made.failed)


@fingerprint.command()
@click.argument("name", metavar="NAME_OR_FILE")
@click.argument("checkpoint", required=False, default="latest")
@click.option("--to", "--output", "target", type=_FILE, help="FILE.onnx [NAME-N.onnx in the run].")
@click.option("--runs", metavar="DIR", default="", help="Where runs lie [fingerprints].")
@common.json_option
@common.library_option
def export(
    library: str | None, as_json: bool, name: str, checkpoint: str, target: Path | None, runs: str
) -> int:
    """Write a checkpoint as a network that earmark index and identify can use.

    CHECKPOINT is a number, or a file FILE.onnx to write the latest to.  Set
    EARMARK_FINGERPRINT_MODEL to the file, then index: libraries remember its name.
    """
    from earmark.training.nafp import running

    if checkpoint.endswith(".onnx") and target is None:
        checkpoint, target = "latest", Path(checkpoint)
    made = running.export(name, checkpoint, runs, target)
    if as_json:
        common.print_json(vars(made) | {"path": str(made.path)})
    else:
        print(made.path)
        common.say(
            f"{made.encoder}: {made.ndim} numbers a vector, {made.bytes / 1e6:.1f} MB; use it with "
            f"EARMARK_FINGERPRINT_MODEL={made.path} earmark index PATH --encoders fingerprint"
        )
    return 0


@fingerprint.command()
@click.argument("name", metavar="[NAME_OR_FOLDER]", required=False)
@click.argument("checkpoint", required=False, default="latest")
@click.option("--runs", metavar="DIR", default="", help="Where runs lie [fingerprints].")
@click.option("--index", "kind", default="ivfpq", show_default=True, help="l2, ivf, ivfpq, ...")
@click.option("--nprobe", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--k-probe", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--lengths", default="1,3,5,9,11,19", show_default=True, help="Rows of a query.")
@click.option(
    "--test-ids",
    default="2000",
    show_default=True,
    metavar="FILE|all|N",
    help="Rows at which queries begin: a file (.npy or text), all, or N drawn by the seed.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--skip-dummy", is_flag=True, help="Search the tracks to be found alone.")
@common.json_option
@common.library_option
def evaluate(
    library: str | None,
    as_json: bool,
    name: str | None,
    checkpoint: str,
    runs: str,
    kind: str,
    nprobe: int,
    k_probe: int,
    lengths: str,
    test_ids: str,
    seed: int,
    skip_dummy: bool,
) -> int:
    """Measure fingerprints that generate has written: of a run, or in a folder.

    Exact is the very row of half a second, near one row beside it.  Nothing is written.
    """
    from earmark.evaluate import fingerprint_files, fingerprint_index, fingerprints
    from earmark.training.nafp import running

    asked = _lengths(lengths)
    name = name or running.default_name(_asked(None, (), runs))
    folder = running.embeddings_of(name, checkpoint, [runs] if runs else [])
    bench = fingerprint_files.read_bench(folder, skip_dummy=skip_dummy)
    ids = fingerprints.choose_ids(bench, test_ids, seed=seed)
    values = [part.values for part in bench.parts]
    index = fingerprint_index.build_index(kind, values, nprobe=nprobe)
    if index.smaller:
        parts = ", ".join(f"{name} {has} of {full}" for name, (has, full) in index.smaller.items())
        common.say(f"the index is smaller than as published, for {bench.size} rows: {parts}")
    report = fingerprints.evaluate(bench, index, ids, lengths=asked, k_probe=k_probe)
    document = fingerprints.to_json(report, bench, index, seed=seed, k_probe=k_probe)
    if as_json:
        common.print_json(document)
    else:
        print(_table(report, bench, document))
    return 0


def _lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        lengths = ()
    if not lengths or lengths[0] < 1:
        raise click.UsageError(f"--lengths must be whole numbers from 1 on, got {text!r}")
    return lengths


_LABELS = {"recall_2fa": "sure *"}


def _table(report: Report, bench: Bench, document: dict[str, Any]) -> str:
    """Shares in percent, a column a length."""
    lengths = list(report.queries)
    seconds = [f"{(n + 1) / 2:g} s" for n in lengths]
    rows = [["", *seconds], ["queries", *(str(report.queries[n]) for n in lengths)]]
    for name, by in report.metrics.items():
        shares = [f"{100 * by[n]:.1f}" if n in by else "-" for n in lengths]
        rows.append([_LABELS.get(name, name.replace("_", " ").replace("top", "top-")), *shares])
    facts = ", ".join(f"{k} {v}" for k, v in document["index_parameters"].items())
    head = [
        f"encoder {bench.encoder}; {bench.size} rows; seed {document['seed']}",
        f"index {document['index']}" + (f" ({facts})" if facts else ""),
    ]
    lines = [f"{row[0]:<12}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in rows]
    if "recall_2fa" in report.metrics:
        lines.append("* first near, and surer than 98 % of answers without the right recording")
    return "\n".join([*head, *lines])


def _on_step() -> Callable[[Step], None]:
    """A line of progress now and then."""
    printed = -INTERVAL

    def on_step(step: Step) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed < INTERVAL and step.step < step.steps:
            return
        printed = now
        done = (step.epoch - 1) * step.steps + step.step
        left = (step.epochs * step.steps - done) * step.seconds / done
        common.say(
            f"progress: stage=train epoch={step.epoch}/{step.epochs} "
            f"step={step.step}/{step.steps} loss={step.loss:.4f} left={format_time(left)}"
        )

    return on_step


def _on_track() -> Callable[[Progress], None]:
    printed = -INTERVAL

    def on_track(progress: Progress) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= INTERVAL or progress.tracks == progress.total:
            printed = now
            files = f"{progress.tracks}/{progress.total}"
            common.say(f"progress: stage={progress.part} files={files}")

    return on_track


def _failures(failed: tuple[Failure, ...]) -> int:
    for failure in failed:
        common.say(f"failed {failure.path}: {failure.error}")
    return common.SOME_FAILED if failed else 0

"""``earmark models``: which model files are here, and fetching those that are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import common
from earmark.cli.commands import Entry, LazyGroup
from earmark.cli.tables import size, table
from earmark.errors import UsageError

if TYPE_CHECKING:
    from earmark.weights import Model, Places
    from earmark.weights.pulling import OnBytes

COMMANDS = {
    "list": Entry("models", "list_", "List models: which are here, sizes, licences.", "Commands"),
    "pull": Entry("models", "pull", "Fetch a model's files; asks first.", "Commands"),
}

models = LazyGroup(
    name="models",
    entries=COMMANDS,
    help="List and pull model files.  Nothing else ever fetches one.",
)


@click.command("list")
@common.json_option
@common.library_option
def list_(library: str | None, as_json: bool) -> None:
    """List the models that encoders know.

    Looked for in $EARMARK_MODELS, then in the cache ($EARMARK_CACHE).
    """
    from earmark.weights import MODELS, Places

    places = Places.of(common.settings())
    entries = [_entry(model, places) for model in MODELS.values()]
    if as_json:
        common.print_json({"models": entries, "places": _folders(places)})
        return
    rows = [
        [
            entry["name"],
            entry["encoder"],
            "yes" if entry["here"] else "-",
            amount(entry["size"]),
            entry["licence"],
            entry["about"],
        ]
        for entry in entries
    ]
    print(table(["model", "encoder", "here", "size", "licence", "what"], rows, right={3}))
    common.say(f"looked in {', '.join(_folders(places))}")


def _folders(places: Places) -> list[str]:
    return [str(folder) for folder in (places.models, places.fetched) if folder is not None]


def _entry(model: Model, places: Places) -> dict[str, Any]:
    """One model as ``--json`` shows it."""
    from earmark.weights import find, locate

    located = locate(model, places)
    files = []
    for file in model.files:
        path = find(model, file, places)
        files.append(
            {
                "name": file.name,
                "path": None if path is None else str(path),
                "size": path.stat().st_size if path is not None else file.size or None,
                "sha256": file.sha256 or None,
                "md5": file.md5 or None,
                "url": file.url or None,
                "optional": file.optional,
                "instead_of": file.instead or None,
            }
        )
    here = sum(path.stat().st_size for path in located.files.values()) if located else 0
    return {
        "name": model.name,
        "encoder": model.encoder,
        "about": model.about,
        "licence": model.licence,
        "revision": model.revision,
        "here": located is not None,
        "size": here or model.size or None,
        "warning": model.facts.get("warning"),
        "files": files,
    }


@click.command()
@click.argument("name", metavar="NAME")
@click.option("-y", "--yes", is_flag=True, help="Fetch without asking.")
@common.json_option
@common.library_option
def pull(library: str | None, as_json: bool, name: str, yes: bool) -> int:
    """Fetch the files of a model (or of an encoder's first model) into the cache.

    Says first how much it would fetch, and asks.  A fetch that breaks off is gone on with by the
    same command.
    """
    from earmark.weights import Places, model, pulling

    places = Places.of(common.settings())
    chosen = model(name)
    wanted = pulling.missing(chosen, places)
    total = sum(one.size for one in wanted)
    if wanted:
        _describe(chosen, wanted, places)
        if not yes and not _agreed(total):
            return 1
    fetched = []
    with _shown() as on_bytes:
        for one in wanted:
            fetched.append(str(pulling.fetch(one, chosen, places, on_bytes=on_bytes)))
    if as_json:
        common.print_json({"model": chosen.name, "fetched": fetched, "bytes": total})
    else:
        common.say(f"fetched {len(fetched)} files" if fetched else f"{chosen.name} is here")
    return 0


def _describe(model: Model, wanted: Any, places: Places) -> None:
    common.say(f"{model.name}: {model.about}")
    common.say(f"licence {model.licence}, revision {model.revision}")
    for one in wanted:
        checked = one.file.sha256 or one.file.md5
        note = "" if checked else ", no checksum is published"
        common.say(f"  {one.file.name}: {amount(one.size)} from {one.file.url}{note}")
    common.say(f"{amount(sum(one.size for one in wanted))} in all, into {places.fetched}")
    if warning := model.facts.get("warning"):
        common.say(f"warning: {warning}")


def _agreed(total: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            f"models are fetched only on a yes; nobody is here to ask for {amount(total)}",
            hint="--yes fetches without asking",
        )
    return click.confirm("Fetch?", default=False, err=True)


def amount(count: int | None) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> amount(4_066_513), amount(0)
    ('4.1 MB', 'unknown size')
    """
    return size(count) if count else "unknown size"


@contextmanager
def _shown() -> Iterator[OnBytes | None]:
    """Give a callback that draws a bar on a terminal; elsewhere none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def on_bytes(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total or None)
            bar.update(tasks[name], completed=done, total=total or None)

        yield on_bytes

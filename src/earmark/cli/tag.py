"""``earmark tag``: what sounds are in files."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli import common
from earmark.errors import AudioError, LibraryNotFound, UsageError

if TYPE_CHECKING:
    from earmark.library.tagging import TaggedFile, TagSession


@click.command()
@click.argument("files", nargs=-1, metavar="FILE[#start-end]...")
@click.option("--labels", metavar="A,B,C", help="Choose among these only.")
@click.option("--moments", is_flag=True, help="Tell the tags of each moment too.")
@click.option("-k", type=click.IntRange(min=1), default=5, show_default=True, help="Most tags.")
@click.option("--write", is_flag=True, help="Write the tags into the files; can be undone.")
@click.option("--log", metavar="FILE", help="Undo log of --write [default: among your user data].")
@click.option("--undo", "undo_log", metavar="LOG", help="Undo what a log of --write tells.")
@common.json_option
@common.library_option
def tag(
    library: str | None,
    as_json: bool,
    files: tuple[str, ...],
    labels: str | None,
    moments: bool,
    k: int,
    write: bool,
    log: str | None,
    undo_log: str | None,
) -> int:
    """Tell what sounds are in each FILE.

    The score is the tagger's probability that the sound is heard somewhere in the file (with
    --labels and a text model: the share of other sounds that resemble the label less; without a
    text model labels must name classes of the tagger).  The library's tagger answers, without a
    library 'efficientat'.  No tags: silence, or none of the labels.  Exit
    code 1: a FILE failed.
    """
    if undo_log is not None:
        return _undo(undo_log, files, as_json=as_json)
    if not files:
        raise UsageError("'tag' needs a file", hint="earmark tag FILE, or tag --undo LOG")
    names = None if labels is None else common.split_names((labels,))
    if names is not None and not names:
        raise UsageError("'--labels' needs labels", hint='--labels "dog,rain,a door closing"')
    answers: list[TaggedFile] = []
    failed: list[tuple[str, str]] = []
    place = Path(log) if log else _log_file() if write else None
    with ExitStack() as stack:
        session = _session(stack, library, names or (), k, moments)
        for file in files:
            try:
                answer = session.tag(file)
                if place is not None and write:
                    from earmark.tags.writing import write_labels

                    write_labels(file, [t.label for t in answer.tags], log=place)
            except AudioError as error:
                failed.append((file, error.reason))
                common.say(f"failed {error.source}: {error.reason}")
                continue
            answers.append(answer)
            if not as_json:
                _show(answer)
    if as_json:
        errors = [{"path": p, "tags": [], "moments": [], "error": e} for p, e in failed]
        common.print_json([*(answer.to_json() for answer in answers), *errors])
    if write and place is not None and place.exists():
        common.say(f"undo with: earmark tag --undo {place}")
    return common.SOME_FAILED if failed else 0


def _session(
    stack: ExitStack, library: str | None, labels: tuple[str, ...], k: int, moments: bool
) -> TagSession:
    """The session of the library; without one, of the encoders that are installed."""
    named = library or click.get_current_context().find_object(str)
    try:
        lib = stack.enter_context(common.open_library(library))
    except LibraryNotFound:
        if named:
            raise
        from earmark.library import tagging

        return tagging.without_library(
            tagging.Asked(labels=labels, k=k, moments=moments), common.settings()
        )
    return lib.tagger(labels=labels, k=k, moments=moments)


def _show(answer: TaggedFile) -> None:
    from earmark.cli import tables
    from earmark.moments import format_time

    print(tables.clean(answer.path))
    if not answer.tags:
        print("  none of these")
    for one in answer.tags:
        extra = "" if one.z is None else f"  (z {one.z:.1f}, margin {one.margin:.1f})"
        print(f"  {one.score:.2f}  {tables.clean(one.label)}{extra}")
    for moment in answer.moments:
        heard = ", ".join(f"{tables.clean(t.label)} {t.score:.2f}" for t in moment.tags) or "-"
        print(f"  {format_time(moment.start)}-{format_time(moment.end)}  {heard}")


def _log_file() -> Path:
    import platformdirs

    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return Path(platformdirs.user_data_dir("earmark", appauthor=False)) / "undo" / f"{now}.jsonl"


def _undo(log: str, files: tuple[str, ...], *, as_json: bool) -> int:
    from earmark.tags.writing import undo

    if files:
        raise UsageError("'--undo' takes a log and no files", hint="earmark tag --undo LOG")
    done = list(undo(Path(log)))
    if as_json:
        found = [{"path": d.path, "undone": not d.reason, "error": d.reason} for d in done]
        common.print_json(found)
    for one in done if not as_json else ():
        print(f"{one.path}: {one.reason or 'undone'}")
    return common.SOME_FAILED if any(d.reason for d in done) else 0

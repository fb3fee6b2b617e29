"""From what a person names (files, folders, archives, URLs) to the sources of audio there."""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from earmark.audio import AUDIO_SUFFIXES
from earmark.errors import SourceError
from earmark.sources import archives, remote, sniffing
from earmark.sources.ignoring import IGNORE_FILE, Ignore
from earmark.sources.locations import (
    Source,
    canonical,
    is_remote_zip,
    open_archive,
    plain_reason,
    split_member,
    stat,
)
from earmark.sources.remote import is_url
from earmark.types import Failure

OnFailure: TypeAlias = Callable[[Failure], None]


def expand(
    paths: Sequence[str],
    *,
    ignore: Sequence[str] = (),
    on_failure: OnFailure,
    scores: bool = False,
) -> Iterator[Source]:
    """Find all audio under files, folders, archives and URLs.

    Folders are walked in order of name; hidden files, and files without a suffix of audio, are
    passed over, zip archives are opened, links are followed but no folder is walked twice.  What
    is named itself is taken whatever its suffix.  A source comes once, however many ways lead to
    its name.

    Parameters
    ----------
    paths : sequence of str
    ignore : sequence of str
        Patterns as in a ``.gitignore``, relative to each given folder; the files
        ``.earmarkignore`` in folders add to them.
    on_failure : callable
        Is told what could not be read.
    scores : bool
        Take files of notes too (MIDI, MusicXML, ABC, lists of notes).

    Yields
    ------
    Source
    """
    seen: set[str] = set()
    rules = Ignore().extended(ignore)
    wanted = _Wanted(scores)
    for path in paths:
        for source in _expand_one(path, rules, on_failure, wanted):
            if source.path not in seen:
                seen.add(source.path)
                yield source


def _expand_one(
    path: str, rules: Ignore, on_failure: OnFailure, wanted: _Wanted
) -> Iterator[Source]:
    path = canonical(path)
    try:
        archive, member = split_member(path)
        if member is not None:
            yield from _named_member(archive, member, rules, on_failure, wanted)
        elif is_url(path):
            yield from _below_url(path, rules, on_failure, wanted)
        elif Path(path).is_dir():
            yield from _Walk(path, rules, on_failure, wanted).run()
        elif archives.is_archive(path):
            yield from _in_archive(path, "", rules, on_failure, wanted)
        else:
            yield stat(path)
    except SourceError as error:
        on_failure(Failure(error.source, error.reason))


def _named_member(
    archive: str, member: str, rules: Ignore, on_failure: OnFailure, wanted: _Wanted
) -> Iterator[Source]:
    name = archive + archives.SEPARATOR + member
    folder = member.rstrip("/") + "/"
    names = open_archive(archive).NameToInfo
    if member not in names and any(other.startswith(folder) for other in names):
        for source in _in_archive(archive, "", rules, on_failure, wanted):
            if source.path.startswith(archive + archives.SEPARATOR + folder):
                yield source
        return
    found = stat(name)
    if reason := archives.refusal(names[member]):
        raise SourceError(name, reason)
    yield found


def _in_archive(
    archive: str, relative: str, rules: Ignore, on_failure: OnFailure, wanted: _Wanted
) -> Iterator[Source]:
    """Audio in an archive that lies at `relative` below the folder that the rules speak of."""
    for info, reason in archives.members(open_archive(archive), stat(archive).size, archive):
        below = f"{relative}/{info.filename}" if relative else info.filename
        if not wanted.by_name(info.filename) or rules.matches_below(below):
            continue
        name = archive + archives.SEPARATOR + info.filename
        if reason is not None:
            on_failure(Failure(name, reason))
        else:
            yield Source(name, info.file_size, archives.mtime_ns(info))


def _below_url(url: str, rules: Ignore, on_failure: OnFailure, wanted: _Wanted) -> Iterator[Source]:
    if is_remote_zip(url):
        yield from _in_archive(url, "", rules, on_failure, wanted)
    elif not remote.is_folder(url):
        yield stat(url)
    else:
        for found in remote.files_below(url):
            below = found.removeprefix(url.rstrip("/") + "/")
            if any(part.startswith(".") for part in below.split("/")) or rules.matches_below(below):
                continue
            try:
                if is_remote_zip(found):
                    yield from _in_archive(found, below, rules, on_failure, wanted)
                elif wanted.by_name(found):
                    yield stat(found)
            except SourceError as error:
                on_failure(Failure(error.source, error.reason))


@dataclass(frozen=True)
class _Wanted:
    """Which files a walk takes."""

    scores: bool

    def by_name(self, name: str) -> bool:
        """Whether the suffix alone decides to take it."""
        if sniffing.suffix(name) in AUDIO_SUFFIXES:
            return True
        return self.scores and sniffing.is_named_score(name)

    def file(self, path: str) -> bool:
        """Whether to take a local file; one of a vague suffix is looked into."""
        return self.by_name(path) or (self.scores and sniffing.is_score_file(path))


class _Walk:
    """One walk through a folder."""

    def __init__(self, root: str, rules: Ignore, on_failure: OnFailure, wanted: _Wanted) -> None:
        self._root = root
        self._wanted = wanted
        self._rules = rules
        self._on_failure = on_failure
        self._visited: set[tuple[int, int]] = set()
        # Linked folders come last, so that a folder inside the root goes by its own name.
        self._linked: list[tuple[str, str, Ignore]] = []

    def run(self) -> Iterator[Source]:
        yield from self._folder(self._root, "", self._rules)
        while self._linked:
            yield from self._folder(*self._linked.pop(0))

    def _folder(self, path: str, relative: str, rules: Ignore) -> Iterator[Source]:
        stack = [(path, relative, rules)]
        while stack:
            path, relative, rules = stack.pop()
            entries = self._entries(path)
            rules = rules.extended(self._patterns(path, entries), base=relative)
            folders = []
            for entry in entries:
                below = f"{relative}/{entry.name}" if relative else entry.name
                try:
                    folder = self._is_folder(entry)
                    if entry.name.startswith(".") or rules.matches(below, folder=folder):
                        continue
                    if not folder:
                        yield from self._file(entry, below, rules)
                    elif entry.is_symlink():
                        self._linked.append((entry.path, below, rules))
                    else:
                        folders.append((entry.path, below, rules))
                except SourceError as error:
                    self._on_failure(Failure(error.source, error.reason))
            stack.extend(reversed(folders))

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir()
        except OSError:
            # A link to itself; if it matters, its `stat` says so.
            return False

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            found = Path(path).stat()
            key = (found.st_dev, found.st_ino)
            if key in self._visited:
                return []
            self._visited.add(key)
            with os.scandir(path) as listing:
                return sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self._on_failure(Failure(path, f"folder cannot be read: {plain_reason(error)}"))
            return []

    def _patterns(self, path: str, entries: list[os.DirEntry[str]]) -> list[str]:
        if not any(entry.name == IGNORE_FILE for entry in entries):
            return []
        name = f"{path}/{IGNORE_FILE}"
        try:
            with open(name, encoding="utf-8", errors="surrogateescape") as file:
                return file.read().splitlines()
        except OSError as error:
            self._on_failure(Failure(name, f"cannot be read: {plain_reason(error)}"))
            return []

    def _file(self, entry: os.DirEntry[str], below: str, rules: Ignore) -> Iterator[Source]:
        if archives.is_archive(entry.name):
            yield from _in_archive(entry.path, below, rules, self._on_failure, self._wanted)
        elif self._wanted.by_name(entry.name) or self._is_score(entry):
            yield self._stat(entry)

    def _is_score(self, entry: os.DirEntry[str]) -> bool:
        # Not a pipe or a device: opening one would block.
        return sniffing.is_vague(entry.name) and entry.is_file() and self._wanted.file(entry.path)

    def _stat(self, entry: os.DirEntry[str]) -> Source:
        try:
            found = entry.stat()
        except FileNotFoundError:
            raise SourceError(entry.path, "a link to a file that is not there") from None
        except OSError as error:
            raise SourceError(entry.path, f"cannot be read: {plain_reason(error)}") from error
        if not stat_module.S_ISREG(found.st_mode):
            raise SourceError(entry.path, "not a regular file")
        return Source(entry.path, found.st_size, found.st_mtime_ns)

"""Ignore patterns as git reads them: ``*.bak``, ``/takes/``, ``drafts/**``, ``!keep.wav``.

A pattern without a slash matches a name at any depth; with one it is anchored at its folder.  A
slash at the end restricts it to folders, ``!`` takes a match back, ``#`` begins a comment; the
last pattern that matches decides.  Source: gitignore(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

IGNORE_FILE = ".earmarkignore"
"""A file of patterns for the folder that it lies in."""


@dataclass(frozen=True)
class _Rule:
    base: str
    regex: re.Pattern[str]
    folders_only: bool
    keep: bool


@dataclass(frozen=True)
class Ignore:
    """A list of patterns, each relative to a folder.  Paths are relative, with ``/``."""

    rules: tuple[_Rule, ...] = ()

    def extended(self, patterns: Iterable[str], *, base: str = "") -> Ignore:
        """Return this list and further patterns that hold below the folder `base`.

        Examples
        --------
        >>> ignore = Ignore().extended(["*.tmp.wav", "/old/"])
        >>> ignore.matches("a/b.tmp.wav", folder=False), ignore.matches("a/old", folder=True)
        (True, False)
        """
        new = [_compile(pattern, base) for pattern in patterns]
        return Ignore((*self.rules, *(rule for rule in new if rule is not None)))

    def matches(self, path: str, *, folder: bool) -> bool:
        """Whether a file or folder is to be left out (its parents are not looked at)."""
        for rule in reversed(self.rules):
            if rule.folders_only and not folder:
                continue
            if rule.base and not path.startswith(rule.base + "/"):
                continue
            local = path[len(rule.base) + 1 :] if rule.base else path
            if rule.regex.fullmatch(local):
                return not rule.keep
        return False

    def matches_below(self, path: str) -> bool:
        """Whether a file is to be left out by itself or by one of its folders."""
        parts = path.split("/")
        above = ("/".join(parts[:n]) for n in range(1, len(parts)))
        return any(self.matches(p, folder=True) for p in above) or self.matches(path, folder=False)


def _compile(pattern: str, base: str) -> _Rule | None:
    text = pattern.rstrip("\r\n")
    text = text if text.endswith("\\ ") else text.rstrip(" ")
    if not text or text.startswith("#"):
        return None
    keep = text.startswith("!")
    text = text[1:] if keep else text.removeprefix("\\") if text[:2] in ("\\!", "\\#") else text
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    body = _translate(text)
    return _Rule(
        base, re.compile(body if anchored else f"(?:.*/)?{body}", re.DOTALL), folders_only, keep
    )


def _translate(text: str) -> str:
    out = []
    at = 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("**/"):
            out.append("(?:.*/)?")
            at += 3
        elif rest.startswith("/**") and len(rest) == 3:
            out.append("/.*")
            at += 3
        elif rest[0] == "*":
            out.append("[^/]*")
            at += 1
        elif rest[0] == "?":
            out.append("[^/]")
            at += 1
        elif rest[0] == "[" and text.find("]", at + 2) < 0:
            return "(?!)"  # git lets an open bracket match nothing
        elif rest[0] == "[":
            end = text.find("]", at + 2)
            inside = text[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside[0] in "!^"
            out.append(f"(?!/)[{'^' if negated else ''}{inside[1:] if negated else inside}]")
            at = end + 1
        else:
            at += rest[0] == "\\" and len(rest) > 1
            out.append(re.escape(text[at]))
            at += 1
    return "".join(out)

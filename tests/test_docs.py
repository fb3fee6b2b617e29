"""The documents are programs: each shell and Python block in them is run, in order.

Conventions, per file, in one temporary folder that holds `samples/` (examples/make_samples.py) and
`examples/`:

- ``console`` blocks: lines that begin with ``$ `` are run by the shell; what follows is the
  expected standard output, compared line by line with all numbers masked, the widths of white space
  ignored and paths relative to the folder; a line ``...`` stands for any lines.  The command must
  exit with 0, or with N if it ends in ``# exit N``.
- ``python`` blocks are executed one after the other in one namespace.
- a block after the comment ``<!-- not run -->`` is left alone (an install line, say).
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(<!-- (?P<note>[^>]*) -->\s*)?```(?P<kind>console|python)\n(?P<body>.*?)```", re.S
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """(kind, body) of each block that is to be run."""
    return [
        (m["kind"], m["body"])
        for m in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if (m["note"] or "").strip() != "not run"
    ]


def masked(text: str, folder: Path | None = None) -> list[str]:
    """Lines without the parts that differ from machine to machine."""
    if folder is not None:
        text = text.replace(f"{folder}/", "")
    text = re.sub(r"\d+(?:[.,:]\d+)*", "N", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def agrees(expected: list[str], got: list[str]) -> bool:
    """Whether `got` fits `expected`, in which ``...`` stands for any lines."""
    if not expected:
        return not got
    if expected[0] == "...":
        return any(agrees(expected[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and expected[0] == got[0] and agrees(expected[1:], got[1:])


def commands(body: str) -> list[tuple[str, int, str]]:
    """(command, exit code, expected output) of a console block."""
    found = []
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        line, _, output = part.partition("\n")
        command, _, comment = line.partition("# exit ")
        found.append((command.strip(), int(comment or 0), output))
    return found


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "samples"
    make = runpy.run_path(str(ROOT / "examples" / "make_samples.py"))
    make["main"](folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page(page: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = blocks(page)
    if not todo:
        return
    shutil.copytree(samples, tmp_path / "samples")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARMARK_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    namespace: dict[str, object] = {"__name__": "docs"}
    for kind, body in todo:
        if kind == "python":
            exec(compile(body, str(page), "exec"), namespace)  # noqa: S102
            continue
        for command, code, output in commands(body):
            run = subprocess.run(
                command, shell=True, capture_output=True, text=True, timeout=300, check=False
            )
            assert run.returncode == code, f"{command}\n{run.stdout}{run.stderr}"
            if output.strip():
                got = masked(run.stdout, tmp_path)
                assert agrees(masked(output), got), f"{command}\n{run.stdout}"


def test_checks_notice_a_difference() -> None:
    assert agrees(masked("a 1\n...\nz"), masked("a 2\nb\nc\nz"))
    assert not agrees(masked("a 1\n...\nz"), masked("a 2\nb\nc"))
    assert not agrees(masked("a"), masked("b"))
    assert commands("$ false # exit 1\nout\n") == [("false", 1, "out\n")]

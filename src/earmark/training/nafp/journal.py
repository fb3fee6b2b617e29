"""What a run writes down: lines of JSON always, TensorBoard where it is installed, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from earmark.errors import NotAvailable
from earmark.training.nafp.picture import similarity_picture, write_png
from earmark.training.whole_file import not_written, write_whole
from earmark.types import Float32Array


class Journal:
    """The diary of a run.

    Parameters
    ----------
    folder : Path
        Of the run: takes ``log.jsonl``, ``similarity-0001.png`` and ``tensorboard/``.
    tensorboard : str
        As `Run.tensorboard`.
    after : int
        Steps that a run goes on from; what an earlier one wrote of later steps is dropped.

    Raises
    ------
    NotAvailable
        If TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: str, after: int = 0) -> None:
        self.folder = folder
        self.tested: set[int] = set()
        """Epochs whose search test is written down."""
        self._drop(after)
        self._board = _board(folder / "tensorboard", tensorboard, after)

    def scalars(self, step: int, values: dict[str, float], **facts: Any) -> None:
        """Write numbers of a step."""
        rounded = {name: round(value, 6) for name, value in values.items()}
        path = self.folder / "log.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **facts, **rounded}) + "\n")
        except OSError as error:
            raise not_written(path, error) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def similarity(self, epoch: int, step: int, matrix: Float32Array) -> Path:
        """Draw the similarities of queries (lines) and what they should find (columns)."""
        pixels = similarity_picture(matrix)
        path = self.folder / f"similarity-{epoch:04d}.png"
        write_png(path, pixels)
        if self._board is not None:
            self._board.add_image("similarity", pixels, step, dataformats="HWC")
            self._board.flush()
        return path

    def close(self) -> None:
        """Write what is still held back."""
        if self._board is not None:
            self._board.close()

    def _drop(self, after: int) -> None:
        """Keep the lines of a run up to a step; one that was cut off by a kill goes too."""
        path = self.folder / "log.jsonl"
        kept = []
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                keep = entry["step"] <= after
            except (ValueError, KeyError, TypeError):
                continue
            if keep:
                kept.append(line + "\n")
                self.tested |= {entry["epoch"]} if "epoch" in entry else set()
        write_whole(path, "".join(kept).encode("utf-8"))


def _board(folder: Path, wanted: str, after: int) -> Any:
    if wanted == "off":
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        if wanted == "auto":
            return None
        raise NotAvailable(
            "run.tensorboard=on needs the package tensorboard",
            hint="pip install 'earmark[train]'",
        ) from error
    return SummaryWriter(str(folder), purge_step=after + 1 if after else None)

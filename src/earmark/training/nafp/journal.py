"""What a run writes down: lines of JSON always, TensorBoard where it is installed, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from earmark.errors import NotAvailable
from earmark.training.nafp.picture import similarity_picture, write_png
from earmark.types import Float32Array


class Journal:
    """The diary of a run.

    Parameters
    ----------
    folder : Path
        Of the run: takes ``log.jsonl``, ``similarity-0001.png`` and ``tensorboard/``.
    tensorboard : str
        As `Run.tensorboard`.

    Raises
    ------
    NotAvailable
        If TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: str) -> None:
        self.folder = folder
        self._board = _board(folder / "tensorboard", tensorboard)

    def scalars(self, step: int, values: dict[str, float], **facts: Any) -> None:
        """Write numbers of a step."""
        rounded = {name: round(value, 6) for name, value in values.items()}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **facts, **rounded}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def similarity(self, epoch: int, matrix: Float32Array) -> Path:
        """Draw the similarities of queries (lines) and what they should find (columns)."""
        pixels = similarity_picture(matrix)
        path = self.folder / f"similarity-{epoch:04d}.png"
        write_png(path, pixels)
        if self._board is not None:
            self._board.add_image("similarity", pixels, epoch, dataformats="HWC")
            self._board.flush()
        return path

    def close(self) -> None:
        """Write what is still held back."""
        if self._board is not None:
            self._board.close()


def _board(folder: Path, wanted: str) -> Any:
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
    return SummaryWriter(str(folder))

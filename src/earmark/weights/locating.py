"""Where model files lie: the folder of the setting `models` first, then the cache.

Files are looked for under the names as published, in the folder itself or in a subfolder of the
model's name, and in the layout that the hub's own cache has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earmark.config import Settings
from earmark.errors import NotAvailable
from earmark.weights.registry import Model, ModelFile

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Places:
    """The folders of model files.

    Parameters
    ----------
    models : Path, optional
        The user's own folder, only read.
    cache : Path
        Where fetched and derived files go.
    """

    models: Path | None
    cache: Path

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """Return the folders that the settings name, by default the user's cache folder."""
        import platformdirs

        cache = settings.cache or platformdirs.user_cache_dir("earmark", appauthor=False)
        return cls(
            Path(settings.models).expanduser() if settings.models else None,
            Path(cache).expanduser(),
        )

    @property
    def fetched(self) -> Path:
        """The folder of fetched files."""
        return self.cache / "models"

    @property
    def derived(self) -> Path:
        """The folder of converted files."""
        return self.cache / "converted"

    def folders(self, model: Model) -> Iterator[Path]:
        """Yield the folders in which files of a model may lie, in order."""
        for root in (self.models, self.fetched):
            if root is None:
                continue
            if model.folder:
                yield root / model.folder
                yield root / "laion" / model.folder
                snapshots = root / f"models--laion--{model.folder}" / "snapshots"
                yield from sorted(snapshots.glob("*")) if snapshots.is_dir() else ()
            else:
                yield root
            yield root / model.name
            yield root / model.encoder


@dataclass(frozen=True)
class Located:
    """A model whose files are here.

    Parameters
    ----------
    model : Model
    files : mapping of str to Path
        By name as published.
    """

    model: Model
    files: dict[str, Path]

    @property
    def weights(self) -> Path:
        """The file of weights that is used: as published, else one that stands in for it."""
        for file in self.model.files:
            if file.name in self.files and (file is self.model.files[0] or file.instead):
                return self.files[file.name]
        raise NotAvailable(f"model {self.model.name!r} has no file of weights here")


def find(model: Model, file: ModelFile, places: Places) -> Path | None:
    """Return where a file of a model lies, or None."""
    for folder in places.folders(model):
        if (folder / file.name).is_file():
            return folder / file.name
    return None


def locate(model: Model, places: Places) -> Located | None:
    """Return the files of a model that are here, or None if some that it needs are not."""
    found = {file.name: path for file in model.files if (path := find(model, file, places))}
    stood_in = {file.instead for file in model.files if file.instead and file.name in found}
    for file in model.files:
        needed = not (file.optional or file.instead)
        if needed and file.name not in found and file.name not in stood_in:
            return None
    return Located(model, found)


def require(model: Model, places: Places) -> Located:
    """Return the files of a model.

    Raises
    ------
    NotAvailable
        If some are not here; the hint says how to get them.
    """
    if located := locate(model, places):
        return located
    wanted = [file.name for file in model.files if not (file.optional or file.instead)]
    looked = [str(root) for root in (places.models, places.fetched) if root is not None]
    raise NotAvailable(
        f"encoder {model.encoder!r} needs the model files of {model.name!r} "
        f"({', '.join(wanted)}), which are not in {' or '.join(looked)}",
        hint=f"fetch them with: earmark models pull {model.name}; "
        "or set EARMARK_MODELS to a folder that has them",
    )


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the checksum of a file in hexadecimal."""
    total = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()

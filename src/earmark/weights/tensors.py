"""Read the tensors of checkpoint files without running what they may contain.

PyTorch's files are zip archives of raw numbers and one pickle that says how they make up
tensors.  A pickle is a program; `read_checkpoint` follows only the few steps that rebuild tensors
in dicts and lists, and refuses a file with any other.  Formats: PyTorch's ``torch.save`` since 1.6
(zip), safetensors (a JSON header, then raw numbers).
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import EncoderError
from earmark.types import AnyArray

_DTYPES: Mapping[str, str] = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
    "BFloat16Storage": "bf16",
}

_SAFE_DTYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bf16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}

_MOST_HEADER = 100 << 20


def read_checkpoint(path: Path, *, key: str = "") -> dict[str, AnyArray]:
    """Read the tensors of a checkpoint by name.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or what ``torch.save`` wrote.
    key : str
        The tensors lie in a dict under this key, if the file has it.

    Returns
    -------
    dict of str to array
        bfloat16 becomes float32; all else keeps its type.

    Raises
    ------
    EncoderError
        If the file is damaged, of another format, or contains anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        content = _read_torch(path)
    except (zipfile.BadZipFile, pickle.UnpicklingError, NotImplementedError) as error:
        raise _unreadable(path, str(error)) from error
    except (OSError, ValueError, LookupError, TypeError, EOFError, AttributeError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    if key and isinstance(content, dict) and key in content:
        content = content[key]
    if not isinstance(content, dict):
        raise _unreadable(path, f"it holds a {type(content).__name__}, not tensors by name")
    tensors = {str(name): value for name, value in content.items()}
    for name, value in tensors.items():
        if not isinstance(value, np.ndarray):
            raise _unreadable(path, f"{name!r} is a {type(value).__name__}, not a tensor")
    return tensors


def _unreadable(path: Path, reason: str) -> EncoderError:
    return EncoderError(
        f"{path.name} must be a checkpoint of tensors: {reason}",
        hint="fetch the file again; files that contain code are never run",
    )


def _decoded(raw: bytes, dtype: str) -> AnyArray:
    if dtype != "bf16":
        return np.frombuffer(raw, dtype)
    wide = np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)
    return wide.view(np.float32)


# --- PyTorch -----------------------------------------------------------------------------------


class _Storage:
    """Names a type of numbers; stands where the pickle names PyTorch's class."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _Restricted(pickle.Unpickler):
    """Rebuilds arrays in dicts and lists; any other step is an error before it is taken."""

    def __init__(self, program: bytes, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(program))
        self._archive = archive
        self._root = root
        self._storages: dict[str, AnyArray] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for the few names that tensors need."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module in {"torch", "torch.storage"} and name in _DTYPES:
            return _Storage(_DTYPES[name])
        raise pickle.UnpicklingError(f"it contains code or objects: {module}.{name}")

    def persistent_load(self, pid: Any) -> AnyArray:
        """Read the numbers that a tensor refers to."""
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(storage, _Storage):
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        if key not in self._storages:
            raw = self._archive.read(f"{self._root}data/{key}")
            numbers = _decoded(raw, storage.dtype)
            if len(numbers) < count:
                raise pickle.UnpicklingError(f"storage {key} is cut off")
            self._storages[key] = numbers
        return self._storages[key]


def _rebuild(storage: AnyArray, offset: int, shape: Any, stride: Any, *_: Any) -> AnyArray:
    """A view of a storage, checked to lie inside it."""
    shape, stride = tuple(shape), tuple(stride)
    sizes = zip(shape, stride, strict=True)
    last = offset + sum((n - 1) * step for n, step in sizes) if all(shape) else offset
    if offset < 0 or min(stride, default=0) < 0 or last >= max(len(storage), 1):
        raise pickle.UnpicklingError("a tensor lies outside its numbers")
    if not all(shape):
        return np.empty(shape, storage.dtype)
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


def _parameter(data: AnyArray, *_: Any) -> AnyArray:
    return data


def _read_torch(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        programs = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(programs) != 1:
            raise ValueError("it has no data.pkl")
        root = programs[0].removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        return _Restricted(archive.read(programs[0]), archive, root).load()


# --- safetensors -------------------------------------------------------------------------------


def _read_safetensors(path: Path) -> dict[str, AnyArray]:
    content = np.memmap(path, np.uint8, mode="r")
    length = int(content[:8].view("<u8")[0]) if len(content) >= 8 else 0
    if not 0 < length <= min(_MOST_HEADER, len(content) - 8):
        raise ValueError("its header is cut off")
    header = json.loads(bytes(content[8 : 8 + length]))
    numbers = content[8 + length :]
    tensors: dict[str, AnyArray] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= len(numbers):
            raise ValueError(f"{name!r} is cut off")
        values = _decoded(numbers[begin:end].tobytes(), _SAFE_DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors

"""Read what ``torch.save`` wrote, without PyTorch and without running what the file contains.

Two formats: a zip archive since PyTorch 1.6; before that five pickles in a row and then the raw
numbers.  A pickle is a program; here it may only rebuild tensors (and NumPy arrays) in dicts and
lists, and anything else in it is an error before it is taken.  Numbers of an archive are mapped,
not read.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from earmark.types import AnyArray
from earmark.weights.numbers import BFLOAT16, decoded

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
    "BFloat16Storage": BFLOAT16,
}

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LOCAL_HEADER = 30


class _Storage:
    """Names a type of numbers; stands where the pickle names PyTorch's class."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class Restricted(pickle.Unpickler):
    """Rebuilds arrays in dicts and lists.

    Parameters
    ----------
    file : binary file
    fetch : callable
        Gives the numbers of a storage for its key, dtype and length.
    """

    def __init__(self, file: IO[bytes], fetch: Callable[[str, str, int], AnyArray]) -> None:
        super().__init__(file, encoding="latin1")
        self._fetch = fetch
        self._storages: dict[str, AnyArray] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for the few names that arrays need."""
        if module in {"torch", "torch.storage"} and name in _DTYPES:
            return _Storage(_DTYPES[name])
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it contains code or objects: {module}.{name}")

    def persistent_load(self, pid: Any) -> AnyArray:
        """Return the numbers that a tensor refers to."""
        kind, storage, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(storage, _Storage):
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("it holds a view of a storage")
        if key not in self._storages:
            self._storages[key] = self._fetch(str(key), storage.dtype, int(count))
        return self._storages[key]


def _rebuild(storage: AnyArray, offset: int, shape: Any, stride: Any, *_: Any) -> AnyArray:
    """A view of a storage, checked to lie inside it."""
    shape, stride = tuple(shape), tuple(stride)
    if min((offset, *shape, *stride)) < 0 or len(shape) != len(stride):
        raise pickle.UnpicklingError("a tensor has a negative size")
    if 0 in shape:
        return np.empty(shape, storage.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if last >= len(storage):
        raise pickle.UnpicklingError("a tensor lies outside its numbers")
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


def _parameter(data: AnyArray, *_: Any) -> AnyArray:
    return data


def _encode(text: str, encoding: str) -> bytes:
    """How pickles of Python 2 hold bytes."""
    if encoding not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError(f"it holds bytes as {encoding!r}")
    return text.encode("latin1")


def _array(*_: Any) -> AnyArray:
    """An empty array, which the pickle then fills with numbers."""
    return np.empty(0, np.float32)


def _dtype(name: str, *_: Any) -> np.dtype[Any]:
    found = np.dtype(name)
    if found.hasobject:
        raise pickle.UnpicklingError("it holds an array of objects")
    return found


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument of the next, which ignores it
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
}


def read_torch(path: Path) -> Any:
    """Return what a file holds, tensors as arrays.

    Raises
    ------
    ValueError, KeyError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, ...
        If it is damaged, of another format, or holds anything but arrays.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path)
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise zipfile.BadZipFile("it is cut off")
        file.seek(0)
        return _read_legacy(file)


def _read_archive(archive: zipfile.ZipFile, path: Path) -> Any:
    names = archive.namelist()
    programs = [name for name in names if name.endswith("data.pkl")]
    if len(programs) != 1:
        raise ValueError("it has no data.pkl")
    root = programs[0].removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in names and archive.read(order) != b"little":
        raise ValueError("its numbers are big-endian")

    def fetch(key: str, dtype: str, count: int) -> AnyArray:
        numbers = decoded(_member(archive, f"{root}data/{key}", path), dtype)
        if len(numbers) < count:
            raise ValueError(f"storage {key} is cut off")
        return numbers

    with archive.open(programs[0]) as program:
        return Restricted(program, fetch).load()


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> AnyArray:
    """Bytes of a member: mapped if they lie in the file as they are."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        return np.frombuffer(archive.read(name), np.uint8)
    if info.file_size == 0:
        return np.empty(0, np.uint8)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER)
    lengths = np.frombuffer(header[26:30], "<u2")
    start = info.header_offset + _LOCAL_HEADER + int(lengths.sum())
    return np.memmap(path, np.uint8, "r", start, (info.file_size,))


def _read_legacy(file: IO[bytes]) -> Any:
    """Read the format before PyTorch 1.6: the numbers come after the program that places them."""
    waiting: dict[str, tuple[AnyArray, str]] = {}

    def fetch(key: str, dtype: str, count: int) -> AnyArray:
        numbers: AnyArray = np.empty(count, np.float32 if dtype == BFLOAT16 else dtype)
        waiting[key] = (numbers, dtype)
        return numbers

    def load() -> Any:
        return Restricted(file, fetch).load()

    if load() != _MAGIC or load() != _PROTOCOL:
        raise ValueError("it is not what torch.save writes")
    if not load().get("little_endian", True):
        raise ValueError("its numbers are big-endian")
    content = load()
    for key in load():
        _take_numbers(file, key, *waiting.pop(str(key)))
    if waiting:
        raise ValueError("it is cut off")
    return content


def _take_numbers(file: IO[bytes], key: str, numbers: AnyArray, dtype: str) -> None:
    """Read the numbers of one storage into the array that tensors already look at."""
    count = int.from_bytes(file.read(8), "little")
    if count != len(numbers):
        raise ValueError(f"storage {key} has {count} numbers, not {len(numbers)}")
    size = 2 if dtype == BFLOAT16 else numbers.itemsize
    raw = file.read(count * size)
    if len(raw) != count * size:
        raise ValueError(f"storage {key} is cut off")
    numbers[:] = decoded(np.frombuffer(raw, np.uint8), dtype)

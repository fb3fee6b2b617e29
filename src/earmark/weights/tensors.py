"""Read the tensors of checkpoint files without running what they may contain.

Formats: what ``torch.save`` writes, see `earmark.weights.torch_files`; safetensors (a JSON header,
then raw numbers).
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from earmark.errors import EncoderError
from earmark.types import AnyArray
from earmark.weights.numbers import BFLOAT16, decoded
from earmark.weights.torch_files import read_torch

_SAFE_DTYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
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
        content = read_torch(path)
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
        values = decoded(numbers[begin:end], _SAFE_DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors

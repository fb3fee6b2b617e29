"""Put a checkpoint's tensors into a network, or say exactly what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from earmark.errors import EncoderError
from earmark.types import AnyArray

_SHOWN = 5


def fill(
    network: Any, tensors: Mapping[str, AnyArray], *, source: str, ignored: Iterable[str] = ()
) -> Any:
    """Load tensors into a network and return it, ready to infer.

    Parameters
    ----------
    network : torch.nn.Module
    tensors : mapping of str to array
        As `weights.tensors.read_checkpoint` gives them.
    source : str
        What to call the file in messages.
    ignored : iterable of str
        Beginnings of names that the file may have and the network need not.

    Raises
    ------
    EncoderError
        Naming keys that are missing, unknown, or of another shape.
    """
    import torch

    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    prefixes = tuple(ignored)
    given = {n: v for n, v in tensors.items() if n in wanted or not n.startswith(prefixes)}
    check({name: tuple(value.shape) for name, value in given.items()}, wanted, source=source)
    # A copy each: what was read from the file is read-only.
    state = {name: torch.from_numpy(np.array(given[name])) for name in wanted if name in given}
    network.load_state_dict(state, strict=False)
    return network.eval()


def check(
    given: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], *, source: str
) -> None:
    """Raise `EncoderError` unless names and shapes are those that are wanted.

    Counters of batches, which inference does not use, may be missing.
    """
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {list(given[name])} instead of {list(wanted[name])}"
        for name in wanted
        if name in given and given[name] != wanted[name]
    ]
    faults = [
        f"{what}: {_listed(names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("wrong shape", shapes))
        if names
    ]
    if faults:
        raise EncoderError(
            f"{source} must have exactly the tensors of its network; {'; '.join(faults)}",
            hint="is this the file of another model, or of another size?",
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

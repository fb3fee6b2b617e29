"""Networks as graphs: one interface, run by whatever is installed.

A graph takes one batch of features and gives its outputs.  OpenVINO runs it where that is
installed (in bfloat16 where the processor computes in it and the check at conversion allowed it),
ONNX Runtime otherwise, on a CUDA device if its build has one.  One thread each: parallelism is
the business of worker processes.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from earmark.errors import EncoderError
from earmark.types import AnyArray, Float32Array

NAMES = ("openvino", "onnxruntime")


class Graph(Protocol):
    """A loaded network."""

    def run(self, inputs: dict[str, AnyArray]) -> dict[str, Float32Array]:
        """Return all outputs by name for all inputs by name."""


def available() -> tuple[str, ...]:
    """Return the names of the backends that are installed, the preferred one first."""
    return tuple(name for name in NAMES if find_spec(name) is not None)


def load(path: Path, *, backend: str = "", bfloat16: bool = False) -> Graph:
    """Load an ONNX file.

    Parameters
    ----------
    path : Path
    backend : {'', 'openvino', 'onnxruntime'}
        Default: the preferred one of `available`.
    bfloat16 : bool
        Allow it where the processor computes in it.

    Raises
    ------
    EncoderError
        If the file is no graph that the backend can run.
    """
    chosen = backend or available()[0]
    try:
        if chosen == "openvino":
            from earmark.encoders.backends.openvino import OpenVinoGraph

            return OpenVinoGraph(path, bfloat16=bfloat16)
        from earmark.encoders.backends.onnx import OnnxGraph

        return OnnxGraph(path)
    except Exception as error:  # their errors have no common base of their own
        reason = " ".join(str(error).split())[:200]
        raise EncoderError(
            f"{path.name} must be an ONNX graph that {chosen} runs: {reason}"
        ) from error

"""Graphs run by OpenVINO on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earmark.types import AnyArray, Float32Array


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16."""
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities


class OpenVinoGraph:
    """Implements `Graph` with OpenVINO.

    Parameters
    ----------
    path : Path
        An ONNX file.
    bfloat16 : bool
        Compute in bfloat16 if the processor does.
    """

    def __init__(self, path: Path, *, bfloat16: bool = False) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(str(path))
        self._names = [output.get_any_name() for output in model.outputs]
        self._compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 and has_bfloat16() else "f32",
            },
        )

    def run(self, inputs: dict[str, AnyArray]) -> dict[str, Float32Array]:
        """Return all outputs by name."""
        found = self._compiled(inputs)
        # Copies: the next run writes over what the compiled model hands out.
        return {name: np.array(found[name], np.float32) for name in self._names}

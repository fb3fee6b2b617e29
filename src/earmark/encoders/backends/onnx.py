"""Graphs run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from earmark.types import AnyArray, Float32Array


class OnnxGraph:
    """Implements `Graph` with ONNX Runtime, on a CUDA device if its build has one.

    Parameters
    ----------
    path : Path
        An ONNX file.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        present = onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=[name for name in wanted if name in present]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: dict[str, AnyArray]) -> dict[str, Float32Array]:
        """Return all outputs by name."""
        values = self._session.run(self._outputs, inputs)
        return dict(zip(self._outputs, values, strict=True))

"""VGGish: windows of 4 s every 2 s, each four examples of 0.96 s.

Profile ``concat`` keeps the examples apart, 4 x 128 numbers, so that order counts; ``mean``
averages them, 128 numbers, which is the better space for likeness.  With the option ``pca`` the
examples go through the published post-processing first: rotated, clipped to [-2, 2] and rounded
to 256 steps.

Sources: Hershey et al., "CNN Architectures for Large-Scale Audio Classification" (2017);
Gemmeke et al., "Audio Set" (2017) for the post-processing; weights Apache-2.0, release v0.1 of
github.com/harritaylor/torchvggish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.config import Settings
from earmark.encoders.converting import Recipe
from earmark.encoders.examples import featured
from earmark.encoders.graph_encoder import (
    Design,
    Files,
    GraphEncoder,
    Options,
    files_of,
    take_options,
)
from earmark.errors import EncoderError, NotAvailable, UsageError, nearest
from earmark.features.reference_mel import MelFront, log_mel
from earmark.types import JSON, AnyArray, Encoder, Float32Array, State
from earmark.weights.tensors import read_checkpoint

NAME = "vggish"
MODELS = ("vggish",)
PROFILES = ("concat", "mean")

EXAMPLES = 4
FRAMES = 96
NDIM = 128
PCA_FILE = "vggish_pca_params-970ea276.pth"

FRONT = MelFront(
    sample_rate=16_000,
    length=400,
    hop=160,
    n_fft=512,
    bands=64,
    fmin_hz=125.0,
    fmax_hz=7500.0,
    scale="mel",
    area=False,
    power=1,
    centred=False,
    log="ln",
    floor=0.01,
)

_BATCH = 4
"""Windows at once in 8 bits: the large layers are read from memory once for all of them."""

_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""


def features(windows: Float32Array) -> Float32Array:
    """Return what the network takes, shape (m, 1, 96, 64), of windows at 16 kHz.

    Each window gives as many examples as fit whole; m is their number in all.
    """
    levels = log_mel(windows, FRONT)
    count = levels.shape[1] // FRAMES
    return levels[:, : count * FRAMES].reshape(-1, 1, FRAMES, FRONT.bands)


@dataclass(frozen=True)
class PostProcess:
    """The published rotation of the embeddings.

    Parameters
    ----------
    matrix : float32 array, shape (128, 128)
    means : float32 array, shape (128,)
    """

    matrix: Float32Array
    means: Float32Array

    def __call__(self, rows: Float32Array) -> Float32Array:
        """Rotate rows, shape (n, 128), clip to [-2, 2], and round to the 256 steps between."""
        steps = quantised(self.rotated(rows)).astype(np.float32)
        return np.asarray(steps * (4 / 255) - 2, np.float32)

    def rotated(self, rows: Float32Array) -> Float32Array:
        """Only the rotation: the matrix times (row - means)."""
        return np.asarray((rows - self.means) @ self.matrix.T, np.float32)


def quantised(rows: Float32Array) -> AnyArray:
    """Rotated rows as bytes: -2 and less is 0, 2 and more is 255."""
    return np.round((np.clip(rows, -2, 2) + 2) * (255 / 4)).astype(np.uint8)


def read_post_process(path: Path) -> PostProcess:
    """Read the published parameters of the post-processing.

    Raises
    ------
    EncoderError
        If the file does not hold them.
    """
    tensors = read_checkpoint(path)
    matrix, means = tensors.get("pca_eigen_vectors"), tensors.get("pca_means")
    if matrix is None or means is None or matrix.shape != (NDIM, NDIM) or means.size != NDIM:
        shapes = {name: value.shape for name, value in tensors.items()}
        raise EncoderError(
            f"{path.name} must hold pca_eigen_vectors (128, 128) and pca_means (128,), got {shapes}"
        )
    return PostProcess(matrix.astype(np.float32), means.astype(np.float32).reshape(NDIM))


class Vggish(GraphEncoder):
    """Implements `Encoder` and `StreamEncoder`.

    Parameters
    ----------
    design : Design
    options : Options
    files : Files
    mean : bool
        Average the examples of a window.
    post_process : PostProcess, optional
    """

    def __init__(
        self,
        design: Design,
        options: Options,
        files: Files,
        *,
        mean: bool = False,
        post_process: PostProcess | None = None,
    ) -> None:
        super().__init__(design, options, files, recipe())
        self._mean = mean
        self._post_process = post_process

    def encode(self, windows: Float32Array) -> Float32Array:
        """Encode windows, shape (n, 64000); see `Encoder`."""
        rows = self.outputs(windows, features)["emb"]
        if self._post_process is not None:
            rows = self._post_process(rows)
        examples = rows.reshape(len(windows), EXAMPLES, NDIM)
        found: Float32Array = (
            examples.mean(axis=1, dtype=np.float32)
            if self._mean
            else examples.reshape(len(windows), EXAMPLES * NDIM)
        )
        # All rectified: a window that no unit answers to must still have a direction.
        dead = ~found.any(axis=1)
        found[dead] = np.float32(1e-3)
        return found


def _build(tensors: Mapping[str, AnyArray], source: str) -> Any:
    from earmark.encoders.networks import vggish
    from earmark.encoders.networks.loading import fill

    return fill(vggish.Vggish(), tensors, source=source, ignored=vggish.IGNORED)


def recipe() -> Recipe:
    """How the checkpoint becomes a graph."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 32_000)).astype(np.float32)
    return Recipe(
        name="1",
        build=_build,
        inputs={"mel": features(noise)},
        outputs=("emb",),
        axes={},
        sounds=featured("mel", features, sample_rate=FRONT.sample_rate, seconds=4.0),
    )


def create(
    options: Mapping[str, JSON], state: State | None, *, settings: Settings | None = None
) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.

    Options: ``profile`` ('concat' or 'mean'), ``pca`` (false by default), ``model`` ('vggish')
    and ``hop`` (seconds between windows, 2 by default).
    """
    rest = {name: value for name, value in options.items() if name not in {"profile", "pca"}}
    chosen = take_options(NAME, rest, models=MODELS, hop=2.0)
    profile, pca = options.get("profile", PROFILES[0]), options.get("pca", False)
    if profile not in PROFILES:
        raise UsageError(
            f"the profile of {NAME!r} must be one of {', '.join(PROFILES)}, got {profile!r}",
            hint=nearest(str(profile), PROFILES),
        )
    if not isinstance(pca, bool):
        raise UsageError(f"the option pca of encoder {NAME!r} must be true or false, got {pca!r}")
    files = files_of(chosen.model, settings)
    design = Design(
        name=NAME,
        kind="similar",
        ndim=NDIM if profile == "mean" else NDIM * EXAMPLES,
        window=4.0,
        sample_rate=FRONT.sample_rate,
        algorithm=_ALGORITHM,
        outputs={"emb": NDIM},
        options={"profile": profile, "pca": pca},
        batch=_BATCH,
    )
    post_process = read_post_process(_pca_file(files)) if pca else None
    return Vggish(design, chosen, files, mean=profile == "mean", post_process=post_process)


def _pca_file(files: Files) -> Path:
    if PCA_FILE not in files.located.files:
        raise NotAvailable(
            f"the post-processing of encoder {NAME!r} needs {PCA_FILE}, which is not here",
            hint="earmark models pull vggish",
        )
    return files.located.files[PCA_FILE]

"""The towers of CLAP, as `transformers` builds them, under one roof for conversion.

Versions 4 and 5 of transformers differ in what their convenience methods return; the towers with
their projections are the same in both, so only those are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from earmark.encoders.networks.loading import fill
from earmark.errors import EncoderError, NotAvailable
from earmark.types import AnyArray

# Buffers that versions of transformers keep, or do not keep, in a checkpoint.
_BUFFERS = ("position_ids", "token_type_ids", "relative_position_index", "attn_mask")


class AudioTower(nn.Module):  # type: ignore[misc]
    """Log-mel spectrograms, shape (n, 1, frames, 64), to unit vectors, shape (n, ndim)."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Return unit vectors."""
        vectors = pooled(self.tower(input_features=mel), "audio_embeds")
        return nn.functional.normalize(vectors, dim=-1)


class TextTower(nn.Module):  # type: ignore[misc]
    """Tokens, shape (n, length), no padding, to unit vectors, shape (n, ndim)."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return unit vectors."""
        mask = torch.ones_like(tokens)
        vectors = pooled(self.tower(input_ids=tokens, attention_mask=mask), "text_embeds")
        return nn.functional.normalize(vectors, dim=-1)


def pooled(found: Any, name: str) -> torch.Tensor:
    """Return the vectors of what a tower, or a method of some version, gave.

    A tensor is itself; of an object, the field `name`, else ``pooler_output``.
    """
    if isinstance(found, torch.Tensor):
        return found
    value = getattr(found, name, None)
    return found.pooler_output if value is None else value


def _library() -> Any:
    """Import transformers; a torchaudio that does not fit torch makes that fail."""
    try:
        import transformers

        # Named here so that a failure shows now, not somewhere inside.
        _ = transformers.ClapAudioModelWithProjection
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        if "torchaudio" in reason:
            raise NotAvailable(
                f"transformers cannot load CLAP beside the torchaudio that is installed: {reason}",
                hint="pip uninstall torchaudio (earmark does not need it), "
                "or install the build that fits torch",
            ) from error
        raise NotAvailable(
            f"encoder 'clap' needs transformers to convert its checkpoint once: {reason}",
            hint="pip install 'earmark[clap]'",
        ) from error
    return transformers


def build(tower: str, tensors: Mapping[str, AnyArray], source: str, config: Path) -> nn.Module:
    """Make one tower of a checkpoint, ready to infer.

    Parameters
    ----------
    tower : {'audio', 'text'}
    tensors : mapping of str to array
        Of the whole checkpoint, or of this tower.
    source : str
        What to call the file in messages.
    config : Path
        The ``config.json`` published with the checkpoint.

    Raises
    ------
    EncoderError
        If the tensors are not those of the configuration.
    NotAvailable
        If transformers is not installed, or does not load.
    """
    library = _library()
    try:
        whole = library.ClapConfig.from_json_file(str(config))
    except (OSError, ValueError, TypeError) as error:
        raise EncoderError(f"{config.name} must be a configuration of CLAP: {error}") from error
    if tower == "audio":
        network = library.ClapAudioModelWithProjection(whole.audio_config)
        wrapped: nn.Module = AudioTower(network)
        others = ("text_model.", "text_projection.", "logit_scale")
    else:
        network = library.ClapTextModelWithProjection(whole.text_config)
        wrapped = TextTower(network)
        others = ("audio_model.", "audio_projection.", "logit_scale")
    kept = {name: value for name, value in tensors.items() if not name.endswith(_BUFFERS)}
    own = {
        name: value.numpy()
        for name, value in network.state_dict().items()
        if name.endswith(_BUFFERS)
    }
    fill(network, {**kept, **own}, source=source, ignored=others)
    return wrapped.eval()

"""Build the encoders that a library's rows were, or will be, made by."""

from __future__ import annotations

from collections.abc import Mapping

from earmark import encoders
from earmark.config import Settings
from earmark.executors.tasks import EncoderRef
from earmark.types import JSON, Encoder, Store


def resolve(
    store: Store,
    name: str,
    *,
    options: Mapping[str, JSON] | None = None,
    settings: Settings | None = None,
) -> tuple[Encoder, EncoderRef]:
    """Build an encoder as the library knows it, or a new one.

    Parameters
    ----------
    store : Store
    name : str
    options : mapping, optional
        For an encoder that is new to the library; one that it has keeps its own.
    settings : Settings, optional
        Where model files lie; by default as the environment says.

    Returns
    -------
    encoder : Encoder
    ref : EncoderRef
        For the workers.

    Raises
    ------
    UnknownEncoder
        If it is not installed.
    EncoderMismatch
        If the installed one would make other rows than those stored.
    """
    stored = store.encoders().get(name)
    if stored is None:
        encoder = encoders.create(name, options=options, settings=settings)
        return encoder, EncoderRef(name, dict(encoder.spec.options), settings=settings)
    state = store.state(name)
    return encoders.restore(stored, state, settings=settings), EncoderRef(
        name, dict(stored.options), encoders.own_state(state), settings=settings
    )

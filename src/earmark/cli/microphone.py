"""A few seconds from the microphone, through the optional package `sounddevice`."""

from __future__ import annotations

import numpy as np

from earmark.errors import NotAvailable
from earmark.types import AnyArray

RATE = 44_100


def record(seconds: float) -> tuple[AnyArray, int]:
    """Record mono sound; return samples, shape (n,), and their rate in Hz.

    Raises
    ------
    NotAvailable
        If `sounddevice` is not installed, or there is no microphone.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise NotAvailable(
            f"the microphone needs the package sounddevice: {error}",
            hint="pip install sounddevice, or record a file and name it",
        ) from error
    try:
        samples = sounddevice.rec(round(seconds * RATE), samplerate=RATE, channels=1)
        sounddevice.wait()
    except sounddevice.PortAudioError as error:
        raise NotAvailable(
            f"no microphone can be opened: {error}", hint="record a file and name it"
        ) from error
    return np.asarray(samples, np.float32)[:, 0], RATE

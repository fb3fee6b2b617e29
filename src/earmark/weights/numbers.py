"""Raw bytes to numbers; NumPy has no bfloat16 of its own."""

from __future__ import annotations

import numpy as np

from earmark.types import AnyArray

BFLOAT16 = "bf16"


def decoded(raw: AnyArray, dtype: str) -> AnyArray:
    """Return bytes, shape (n,), as numbers of a dtype; bfloat16 becomes float32.

    Examples
    --------
    >>> decoded(np.array([0x80, 0x3F], np.uint8), BFLOAT16)
    array([1.], dtype=float32)
    """
    if dtype != BFLOAT16:
        return raw.view(dtype)
    return (raw.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)

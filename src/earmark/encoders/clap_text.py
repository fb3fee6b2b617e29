"""Words for CLAP: tokens of a checkpoint's own vocabulary, without transformers.

The vocabulary is RoBERTa's byte-level one: every text of every script has tokens.  Texts are
encoded one by one and never padded, which gives the same vectors at half the time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import EncoderError, NotAvailable
from earmark.types import Int64Array

MOST_TOKENS = 77
"""The length that CLAP was trained with; what comes after it is not read."""


class Tokenizer:
    """Turns texts into tokens.

    Parameters
    ----------
    folder : Path
        With ``tokenizer.json``, or with ``vocab.json`` and ``merges.txt``.

    Raises
    ------
    NotAvailable
        If the package `tokenizers` is not installed.
    EncoderError
        If the files are not those of a tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tokenizers
        except ImportError as error:
            raise NotAvailable(
                "encoder 'clap' needs the package tokenizers for words",
                hint="pip install 'earmark[clap]'",
            ) from error
        try:
            self._tokenizer: Any = _load(tokenizers, folder)
        except Exception as error:  # the package raises plain Exception
            raise EncoderError(
                f"{folder.name} must have the files of a tokenizer: {error}",
                hint="fetch the model again",
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)

    def __call__(self, text: str) -> Int64Array:
        """Return the tokens of one text, shape (1, length), at most `MOST_TOKENS`."""
        # Lone surrogates, as odd file names have, are no text to the tokenizer.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return np.array([self._tokenizer.encode(clean).ids], np.int64)


def _load(tokenizers: Any, folder: Path) -> Any:
    if (folder / "tokenizer.json").is_file():
        return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = tokenizers.ByteLevelBPETokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), add_prefix_space=False
    )
    ids = {token: made.token_to_id(token) for token in ("<s>", "</s>")}
    made.post_processor = tokenizers.processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), trim_offsets=True, add_prefix_space=False
    )
    return made

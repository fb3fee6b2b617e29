"""The model files that encoders know: names as published, sizes, checksums, licences.

Checksums are those that the publishers state, or were computed from a file at hand; a file for
which neither exists has none, and `earmark models` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from earmark.errors import UsageError, nearest


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Parameters
    ----------
    name : str
        As published; looked for under this name.
    url : str
        Where it is published, pinned to a revision where the publisher has revisions.
    size : int
        In bytes; 0 if unknown.
    sha256, md5 : str
        Checksums in hexadecimal; a shorter `sha256` is its beginning.  Empty if unknown.
    optional : bool
        Whether the model works without it.
    instead : str
        The file that this one can stand in for: one of the two is enough.
    fallback_url : str
        Tried where `url` is not known any more.
    """

    name: str
    url: str = ""
    size: int = 0
    sha256: str = ""
    md5: str = ""
    optional: bool = False
    instead: str = ""
    fallback_url: str = ""


@dataclass(frozen=True)
class Model:
    """A published model.

    Parameters
    ----------
    name : str
        What ``earmark models pull`` calls it.
    encoder : str
        The encoder that uses it.
    files : tuple of ModelFile
        The weights first.
    licence : str
        Of the weights.
    revision : str
        Of the publication; part of the revision of rows made from its files.
    about : str
        What it is, in one line.
    folder : str
        Its files lie together in a folder of this name; empty if they lie loose.
    facts : mapping of str to str
        What else its encoder must know.
    """

    name: str
    encoder: str
    files: tuple[ModelFile, ...]
    licence: str
    revision: str
    about: str
    folder: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files that would be fetched; 0 if any of them is of unknown size."""
        sizes = [file.size for file in self.fetched]
        return sum(sizes) if all(sizes) else 0

    @property
    def fetched(self) -> tuple[ModelFile, ...]:
        """The files that ``earmark models pull`` fetches."""
        return tuple(file for file in self.files if file.url and not file.instead)


_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"
_VGGISH = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"
_PANNS = "https://zenodo.org/records/3987831/files"
_HUB = "https://huggingface.co"

_CLAP_TEXT_FILES = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)


def _clap(name: str, revision: str, about: str, **facts: str) -> Model:
    """A checkpoint of CLAP as the hub publishes it: a folder of files."""

    def url(file: str, at: str) -> str:
        return f"{_HUB}/laion/{name}/resolve/{at}/{file}"

    def listed(file: str, **more: object) -> ModelFile:
        return ModelFile(
            file,
            url(file, revision),
            fallback_url="" if revision == "main" else url(file, "main"),
            **more,  # type: ignore[arg-type]
        )

    return Model(
        name=name,
        encoder="clap",
        files=(
            listed("pytorch_model.bin"),
            listed("model.safetensors", instead="pytorch_model.bin"),
            *(listed(file, optional=file not in _NEEDED) for file in _CLAP_TEXT_FILES),
        ),
        licence="Apache-2.0",
        revision=revision[:12],
        about=about,
        folder=name,
        facts=facts,
    )


_NEEDED = frozenset({"config.json", "tokenizer.json"})

_LIST = (
    Model(
        name="mn04",
        encoder="efficientat",
        files=(
            ModelFile(
                "mn04_as_mAP_432.pt",
                f"{_EFFICIENTAT}/mn04_as_mAP_432.pt",
                size=4_066_513,
                sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
            ),
            ModelFile(
                "mn04_as.onnx",
                size=3_998_643,
                sha256="b0a1cdd9e8f157c7f5a65a19760f094fa0d83d937e84ecc6e1910192b4ada1fb",
                instead="mn04_as_mAP_432.pt",
            ),
        ),
        licence="MIT",
        revision="mn04_as_mAP_432",
        about="EfficientAT, 1.0 M parameters, 527 AudioSet classes, mAP .432",
        facts={"width": "0.4"},
    ),
    Model(
        name="mn10",
        encoder="efficientat",
        files=(
            ModelFile("mn10_as_mAP_471.pt", f"{_EFFICIENTAT}/mn10_as_mAP_471.pt"),
            ModelFile("mn10_as.onnx", instead="mn10_as_mAP_471.pt"),
        ),
        licence="MIT",
        revision="mn10_as_mAP_471",
        about="EfficientAT, 4.9 M parameters, 527 AudioSet classes, mAP .471",
        facts={"width": "1.0"},
    ),
    Model(
        name="cnn14",
        encoder="panns",
        files=(
            ModelFile(
                "Cnn14_mAP=0.431.pth",
                f"{_PANNS}/Cnn14_mAP%3D0.431.pth?download=1",
                size=327_428_481,
                md5="541141fa2ee191a88f24a3219fff024e",
            ),
        ),
        licence="CC-BY-4.0",
        revision="zenodo-3987831",
        about="PANNs Cnn14, 80.8 M parameters, 527 AudioSet classes, mAP .431",
    ),
    Model(
        name="vggish",
        encoder="vggish",
        files=(
            ModelFile("vggish-10086976.pth", f"{_VGGISH}/vggish-10086976.pth", sha256="10086976"),
            ModelFile(
                "vggish_pca_params-970ea276.pth",
                f"{_VGGISH}/vggish_pca_params-970ea276.pth",
                sha256="970ea276",
                optional=True,
            ),
        ),
        licence="Apache-2.0",
        revision="torchvggish-0.1",
        about="VGGish, 72.1 M parameters, 128 numbers for 0.96 s",
    ),
    _clap(
        "larger_clap_music_and_speech",
        "195c3a3e68faebb3e2088b9a79e79b43ddbda76b",
        "CLAP for music and speech, 193.9 M parameters: words and audio in one space",
        template="this is the sound of {q}",
    ),
    _clap("larger_clap_general", "main", "CLAP for all sounds, 193.9 M parameters"),
    _clap("clap-htsat-unfused", "main", "CLAP for all sounds, 153 M parameters"),
    _clap(
        "larger_clap_music",
        "main",
        "CLAP for music; as published its vectors are all alike",
        warning="as published, its vectors of different sounds are all alike",
    ),
)

MODELS: Mapping[str, Model] = {one.name: one for one in _LIST}
"""All models by name."""


def model(name: str) -> Model:
    """Return a model by its name, or the only one of an encoder by the encoder's.

    Raises
    ------
    UsageError
        If there is none; the hint shows the nearest.

    Examples
    --------
    >>> model("panns").name
    'cnn14'
    """
    if name in MODELS:
        return MODELS[name]
    of_encoder = [one for one in _LIST if one.encoder == name]
    if of_encoder:
        return of_encoder[0]
    known = [*MODELS, *(one.encoder for one in _LIST)]
    hint = nearest(name, known) or f"known: {', '.join(MODELS)}"
    raise UsageError(f"there is no model {name!r}", hint=hint)

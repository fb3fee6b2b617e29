"""Settings: one frozen value, read once at the edge (the command line, `earmark.open`).

Each field can be set as ``EARMARK_<NAME>``; a value outside its rule is a `SettingError` that
names the variable.  Nothing below the edge reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from earmark.errors import SettingError, nearest

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})

# Set by name in the environment but not settings of their own.
_OTHER_VARIABLES = frozenset(
    {
        "EARMARK_TEST_DATA",
        "EARMARK_TEST_WEIGHTS",
        "EARMARK_TOKEN_READ",
        "EARMARK_TOKEN_WRITE",
    }
)


@dataclass(frozen=True)
class Settings:
    """All that a user can set.

    Parameters
    ----------
    library : str
        Folder or URL of the library; empty for the user's data folder.
    models : str
        A folder of model files, looked in before the cache.
    cache : str
        Where downloaded and derived files go; empty for the user's cache folder.
    workers : int
        Processes that decode and encode; 0 for one per core.
    file_time_limit : float
        Seconds that one file may take before its worker is ended; long files get a fifth of
        their length if that is more.
    feature_cache_mb : int
        Most that features computed on demand may occupy, in MB.
    model_memory_mb : int
        Most that the networks of all workers may occupy, in MB, where the number of workers is
        not given.
    model_int8 : bool
        Run networks in 8 bits where that is faster and gives nearly the same vectors.
    salvage : bool
        Keep what can be decoded of files that are cut off or damaged.
    seed : int
        Seed of everything random.
    timbre_profile : str
        Profile of the `timbre` encoder for new libraries: default, zounds or own.
    efficientat_model : str
        Model of the `efficientat` encoder for new libraries: mn04 or mn10.
    clap_model : str
        Checkpoint of the `clap` encoder for new libraries.
    clap_template : str
        What a text is put into before CLAP reads it, ``{q}`` in its place; empty for the
        checkpoint's own, ``{q}`` for none.
    clap_hop : float
        Seconds between CLAP's windows of 10 s, for new libraries.
    vggish_profile : str
        Profile of the `vggish` encoder for new libraries: concat or mean.
    fingerprint_model : str
        Network of the `fingerprint` encoder for new libraries and rebuilds: a file written by
        ``earmark fingerprint export``, by its path or by its name among model files; empty, or
        ``shipped``, for the one that comes with the package.
    """

    library: str = ""
    models: str = ""
    cache: str = ""
    workers: int = 0
    file_time_limit: float = 120.0
    feature_cache_mb: int = 1024
    model_memory_mb: int = 2400
    model_int8: bool = True
    salvage: bool = False
    seed: int = 0
    timbre_profile: str = "default"
    efficientat_model: str = "mn04"
    clap_model: str = "larger_clap_music_and_speech"
    clap_template: str = ""
    clap_hop: float = 10.0
    vggish_profile: str = "concat"
    fingerprint_model: str = ""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise SettingError(f"EARMARK_WORKERS must be 0 or more, got {self.workers}")
        if not self.file_time_limit > 0:
            raise SettingError(
                f"EARMARK_FILE_TIME_LIMIT must be more than 0 seconds, got {self.file_time_limit}"
            )
        if self.model_memory_mb < 0:
            raise SettingError(
                f"EARMARK_MODEL_MEMORY_MB must be 0 or more, got {self.model_memory_mb}"
            )
        if self.feature_cache_mb < 0:
            raise SettingError(
                f"EARMARK_FEATURE_CACHE_MB must be 0 or more, got {self.feature_cache_mb}"
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read settings from ``EARMARK_...`` variables.

        Raises
        ------
        SettingError
            For a value that is not of the setting's type, or a misspelt variable.

        Examples
        --------
        >>> Settings.from_env({"EARMARK_WORKERS": "2"}).workers
        2
        """
        known = {f"EARMARK_{f.name.upper()}": f for f in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in environ.items():
            if not variable.startswith("EARMARK_") or variable in _OTHER_VARIABLES:
                continue
            if variable not in known:
                hint = nearest(variable, known) or f"known: {', '.join(sorted(known))}"
                raise SettingError(f"there is no setting {variable}", hint=hint)
            values[known[variable].name] = _parse(variable, text, str(known[variable].type))
        return cls(**values)

    def with_changes(self, **changes: Any) -> Settings:
        """Return settings with the given fields replaced; None leaves a field as it is."""
        return replace(self, **{k: v for k, v in changes.items() if v is not None})


def _parse(variable: str, text: str, kind: str) -> object:
    try:
        if kind == "bool":
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise ValueError
        return {"int": int, "float": float, "str": str}[kind](text)
    except ValueError:
        raise SettingError(f"{variable} must be of type {kind}, got {text!r}") from None

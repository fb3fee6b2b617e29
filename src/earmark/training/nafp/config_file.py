"""Configurations from files and options, back to text, and what differs between two.

A file is TOML (or JSON, as saved with a checkpoint); an option is ``part.name=value`` with the
value written as in TOML, or as a bare word.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from earmark.errors import UsageError, nearest
from earmark.training.nafp.config import Config

NOT_LEARNED = ("folders", "run")
"""Parts that do not decide what is learned."""


def load_config(
    path: Path | None, options: Iterable[str] = (), *, base: Config | None = None
) -> Config:
    """Read a configuration.

    Parameters
    ----------
    path : Path or None
        TOML, or JSON if its name ends so; None for the defaults.
    options : iterable of str
        ``part.name=value``, over what the file says; the last one of a name wins.
    base : Config, optional
        What holds where file and options say nothing; default the published system.

    Raises
    ------
    UsageError
        If the file cannot be read, or a name or a value is not allowed.
    """
    data = asdict(base) if base is not None else {}
    if path is not None:
        _merge(data, _read(path))
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"a setting must be written part.name=value, got {option!r}")
        nested: Any = _value(text.strip())
        for part in reversed(name.strip().split(".")):
            nested = {part: nested}
        _merge(data, nested)
    return from_dict(data)


def from_dict(data: Mapping[str, Any]) -> Config:
    """Build a configuration from nested dicts; unknown names and wrong types are refused."""
    built = _build(Config, data, "")
    assert isinstance(built, Config)  # of our own making
    return built


def to_json(config: Config) -> str:
    """Return a configuration as JSON text; `from_dict` of it is the same configuration."""
    return json.dumps(asdict(config), indent=2)


def to_toml(config: Config) -> str:
    """Return a configuration as TOML text that `load_config` reads."""
    lines: list[str] = []
    _write(lines, "", asdict(config))
    return "\n".join(lines).strip() + "\n"


def differences(mine: Config, theirs: Config) -> list[str]:
    """Say each field that decides what is learned and in which two configurations differ.

    Examples
    --------
    >>> differences(from_dict({}), from_dict({"optimizer": {"batch": 640}}))
    ['optimizer.batch: 120 against 640']
    """
    found: list[str] = []
    for f in fields(mine):
        if f.name not in NOT_LEARNED:
            _differ(f"{f.name}.", getattr(mine, f.name), getattr(theirs, f.name), found)
    return found


def _differ(prefix: str, mine: Any, theirs: Any, found: list[str]) -> None:
    for f in fields(mine):
        a, b = getattr(mine, f.name), getattr(theirs, f.name)
        if is_dataclass(a):
            _differ(f"{prefix}{f.name}.", a, b, found)
        elif a != b:
            found.append(f"{prefix}{f.name}: {a!r} against {b!r}")


def _read(path: Path) -> dict[str, Any]:
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"the configuration cannot be read: {path}: {reason}") from error
    except ValueError as error:  # of TOML, JSON and UTF-8
        raise UsageError(
            f"the configuration must be {kind}: {path}: {error}",
            hint="earmark fingerprint train --print-config writes one with all names",
        ) from error
    if not isinstance(data, dict):
        raise UsageError(f"the configuration must have parts and names: {path}")
    return data


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(target: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, Mapping) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        else:
            target[name] = dict(value) if isinstance(value, Mapping) else value


def _build(kind: type[Any], data: Any, prefix: str) -> Any:
    if not isinstance(data, Mapping):
        raise UsageError(f"{prefix.rstrip('.')} must be a part with names, got {data!r}")
    hints = get_type_hints(kind)
    values = {}
    for name, value in data.items():
        if name not in hints:
            full = f"{prefix}{name}"
            raise UsageError(
                f"the configuration has no {full!r}", hint=nearest(name, hints) or _names(hints)
            )
        values[name] = _typed(hints[name], value, f"{prefix}{name}")
    return kind(**values)


def _names(hints: Mapping[str, Any]) -> str:
    return f"there are {', '.join(hints)}"


def _typed(hint: Any, value: Any, name: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, f"{name}.")
    if get_origin(hint) is tuple:
        inner = [a for a in get_args(hint) if a is not Ellipsis]
        count = None if Ellipsis in get_args(hint) else len(inner)
        if not isinstance(value, list | tuple) or (count is not None and len(value) != count):
            many = "a list" if count is None else f"a list of {count}"
            raise UsageError(f"{name} must be {many}, got {value!r}")
        return tuple(_typed(inner[0], item, name) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise UsageError(f"{name} must be {_kind(hint)}, got {value!r}")
    return value


def _kind(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return words.get(hint, str(hint))


def _write(lines: list[str], prefix: str, data: Mapping[str, Any]) -> None:
    plain = {k: v for k, v in data.items() if not isinstance(v, dict)}
    if prefix and plain:
        lines += ["", f"[{prefix}]"]
    # Numbers, texts, booleans and lists of them are written alike in JSON and TOML.
    lines += [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for name, value in data.items():
        if isinstance(value, dict):
            _write(lines, f"{prefix}.{name}" if prefix else name, value)

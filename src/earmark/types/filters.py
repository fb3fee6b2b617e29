"""Filters over tracks, as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from earmark.types.arrays import Scalar


@dataclass(frozen=True)
class Compare:
    """``field op value``; op is one of ``= != < <= > >= like``."""

    field: str
    op: str
    value: Scalar


@dataclass(frozen=True)
class In:
    """``field in (values)``."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Exists:
    """The field is there and is neither empty nor 0: a bare name in an expression."""

    field: str


@dataclass(frozen=True)
class Not:
    """``not term``."""

    term: Expr


@dataclass(frozen=True)
class And:
    """All terms hold."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class Or:
    """At least one term holds."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class OneLabel:
    """One label of the track meets the term, whose fields are ``tag`` and ``score``.

    `earmark.where.bind_labels` makes it; it is not written in expressions."""

    term: Expr


Expr: TypeAlias = Compare | In | Exists | Not | And | Or | OneLabel
"""A filter over tracks, as every engine that earmark knows can express it."""

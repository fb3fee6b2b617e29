"""Filters in SQL: an `Expr` becomes a condition on `tracks.id` with bound parameters.

Names of fields choose between fixed columns, and are otherwise bound like values: nothing of an
expression is ever pasted into SQL.  `earmark.where` says what expressions mean.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from earmark.errors import UnknownField, nearest
from earmark.stores.local.codec import PathValue, path_value
from earmark.stores.local.tracks import clean_value
from earmark.types import And, Compare, Exists, Expr, In, Not, OneLabel, Or, Scalar
from earmark.where import LABEL_FIELDS, bind_labels, equal_forms, fields_of

_NUMBER, _TEXT = "number", "text"
COLUMNS: Mapping[str, str] = {
    "id": _NUMBER,
    "path": _TEXT,
    "title": _TEXT,
    "artist": _TEXT,
    "duration": _NUMBER,
    "size": _NUMBER,
    "sample_rate": _NUMBER,
    "channels": _NUMBER,
    "codec": _TEXT,
    "container": _TEXT,
    "bit_rate": _NUMBER,
    "content_hash": _TEXT,
}
"""Fields that every track has; tags of the same names are hidden by them."""

_OPERATORS = frozenset({"<", "<=", ">", ">="})
_Sql = tuple[str, list[object]]


def field_types(con: sqlite3.Connection) -> dict[str, str]:
    """Return all fields that `where` may use with 'text', 'number' or 'mixed'."""
    names = con.execute(
        "with recursive n(name) as (select min(name) from tags union all "
        "select (select min(name) from tags where name > n.name) from n where n.name is not null) "
        "select name from n where name is not null"
    ).fetchall()
    fields = dict(COLUMNS)
    for (name,) in names:
        if name in COLUMNS:
            continue
        low, high = con.execute(
            "select typeof(min(value)), typeof(max(value)) from tags where name = ?", (name,)
        ).fetchone()
        kinds = {_TEXT if kind == "text" else _NUMBER for kind in (low, high)}
        fields[name] = kinds.pop() if len(kinds) == 1 else "mixed"
    if _has_labels(con):
        fields |= LABEL_FIELDS
    return fields


def condition(con: sqlite3.Connection, expr: Expr) -> _Sql:
    """Return an SQL condition on the table `tracks`, and its parameters.

    Raises
    ------
    UnknownField
        Naming the nearest known field.
    """
    wanted = sorted(fields_of(expr))
    # To know all fields takes a look at all tags; most filters of our own need none of them.
    known = dict(COLUMNS) if COLUMNS.keys() >= set(wanted) else field_types(con)
    folded = {name.casefold(): name for name in reversed(known)}
    names: dict[str, str] = {}
    for name in wanted:
        real = name if name in known else folded.get(name.casefold())
        if real is None:
            raise UnknownField(
                f"filters may use the fields of the library, but no track has {name!r}",
                hint=_advice(name, known),
            )
        names[name] = real
    if _has_labels(con):
        expr = bind_labels(expr)
    return _condition(expr, names)


def _has_labels(con: sqlite3.Connection) -> bool:
    return con.execute("select 1 from marks limit 1").fetchone() is not None


def _advice(name: str, known: Mapping[str, str]) -> str:
    if name.casefold() in LABEL_FIELDS:
        return "labels come from a tagger: earmark index PATH --encoders efficientat"
    return nearest(name, known) or f"fields: {', '.join(sorted(known))}"


def _condition(expr: Expr, names: Mapping[str, str]) -> _Sql:
    if isinstance(expr, And | Or):
        if not expr.terms:
            return ("1" if isinstance(expr, And) else "0"), []
        parts = [_condition(term, names) for term in expr.terms]
        word = " and " if isinstance(expr, And) else " or "
        return f"({word.join(sql for sql, _ in parts)})", [p for _, ps in parts for p in ps]
    if isinstance(expr, Not):
        sql, parameters = _condition(expr.term, names)
        return f"not {sql}", parameters
    if isinstance(expr, OneLabel):
        sql, parameters = _on_label(expr.term)
        return (
            "(tracks.id in (select marks.track from marks join labels "  # noqa: S608
            f"on labels.id = marks.label where {sql}))"
        ), parameters
    name = names[expr.field]
    if name in COLUMNS:
        column = f"tracks.{name}"
        return _test(expr, column, is_path=name == "path")
    sql, parameters = _test(expr, "value")
    return (
        f"(tracks.id in (select track from tags where name = ? and {sql}))",  # noqa: S608
        [name, *parameters],
    )


def _on_label(expr: Expr) -> _Sql:
    """Return a condition on one row of `marks` joined with its name."""
    if isinstance(expr, And | Or):
        parts = [_on_label(term) for term in expr.terms]
        word = " and " if isinstance(expr, And) else " or "
        return f"({word.join(sql for sql, _ in parts)})", [p for _, ps in parts for p in ps]
    if isinstance(expr, Compare | In | Exists):
        return _test(expr, "labels.name" if expr.field == "tag" else "marks.score")
    raise ValueError(f"a test of a label must not hold {type(expr).__name__}")


def _test(expr: Compare | In | Exists, column: str, *, is_path: bool = False) -> _Sql:
    """Return a condition on one value; it is never null, so that `not` is its complement."""
    if isinstance(expr, Exists):
        return f"({column} not in ('', 0))", []
    if isinstance(expr, In):
        forms = [form for value in expr.values for form in _forms(value, is_path)]
        return f"({column} in ({','.join('?' * len(forms))}))", forms
    if expr.op in ("=", "!="):
        forms = _forms(expr.value, is_path)
        word = "in" if expr.op == "=" else "not in"
        return f"({column} {word} ({','.join('?' * len(forms))}))", forms
    if expr.op == "like":
        return f"(cast({column} as text) like ?)", [clean_value(expr.value)]
    if expr.op not in _OPERATORS:
        raise ValueError(f"a comparison must be one of = != < <= > >= like, got {expr.op!r}")
    kind = "= 'text'" if isinstance(expr.value, str) else "in ('integer', 'real')"
    # The plus keeps SQLite from converting the value to the column's type.
    return f"(typeof({column}) {kind} and {column} {expr.op} +?)", _bound(expr.value)


def _bound(value: Scalar) -> list[object]:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return [float(value)]
    return [clean_value(value) if isinstance(value, str) else value]


def _forms(value: Scalar, is_path: bool) -> list[object]:
    if is_path:
        path: PathValue = path_value(str(value))
        return [path]
    return [bound for form in equal_forms(value) for bound in _bound(form)]

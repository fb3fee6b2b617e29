"""The small language of `--where`: text to an `Expr`, and what an `Expr` means.

Grammar (words in any case)::

    or     = and {"or" and}
    and    = not {"and" not}
    not    = "not" not | "(" or ")" | test
    test   = field                                        there, and neither empty nor 0
           | field ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
           | field ["not"] "like" text                    % is any text, _ any character
           | field ["not"] "in" "(" value {"," value} ")"
           | field ["not"] "between" value "and" value    both ends included
           | field "is" ["not"] "null"
    field  = letters, digits, _ - . :  (or any text in backticks)
    value  = 'text' | "text" | number                     a quote is doubled to stand for itself

Meaning, the same in every store (`matches` is the reference that stores are tested against):

- logic has two values: a comparison with a field that is not there is false, and ``not`` turns it;
- ``=``, ``!=`` and ``in`` compare a number and a text that writes the same number as equal;
- ``<`` and its kin hold only between two numbers or two texts (by code point);
- ``like`` folds the case of ASCII letters, and sees a number as its decimal text;
- ``tag`` and ``score`` are about the labels that taggers gave the track (where the library has
  any): a test holds if one of them meets it.  Joined by ``and``, tests of ``score`` are about
  the same label as the test of ``tag`` before them, so ``tag = 'Dog' and score > .5`` is one label,
  and ``tag = 'Dog' and score > .5 and tag = 'Rain'`` are two.  ``not`` turns what it stands before:
  ``not tag = 'Dog'`` holds if no label of the track is 'Dog'.

An expression is parsed to data and never pasted into a query.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from earmark.errors import FilterSyntaxError
from earmark.types import And, Compare, Exists, Expr, In, Not, OneLabel, Or, Scalar

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d][\w.:-]*)
    | (?P<op>==|!=|<>|<=|>=|[=<>(),])
    )""",
    re.VERBOSE,
)
_OPERATORS = {"==": "=", "<>": "!="}
_COMPARISONS = frozenset({"=", "==", "!=", "<>", "<", "<=", ">", ">="})
_RESERVED = frozenset({"and", "or", "not", "in", "like", "between", "is", "null"})
_MAX_DEPTH = 100


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int

    @property
    def word(self) -> str:
        """The reserved word or operator that this is, else empty."""
        if self.kind == "word" and self.text.lower() in _RESERVED:
            return self.text.lower()
        return self.text if self.kind == "op" else ""


def parse(text: str) -> Expr:
    """Parse a filter expression.

    Parameters
    ----------
    text : str
        For example ``genre = 'jazz' and duration < 10``.

    Returns
    -------
    Expr

    Raises
    ------
    FilterSyntaxError
        Naming the column (from 1) where the text stops making sense.

    Examples
    --------
    >>> parse("year in (1999, 2000)")
    In(field='year', values=(1999, 2000))
    """
    parser = _Parser(text, _tokenize(text))
    expr = parser.disjunction()
    parser.expect_end()
    return expr


def _tokenize(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            column = position + len(text[position:]) - len(text[position:].lstrip())
            what = "a quote that is never closed" if text[column] in "'\"`" else repr(text[column])
            raise _error(text, column, f"{what} cannot stand here")
        kind = match.lastgroup
        tokens.append(_Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _error(text: str, column: int, message: str) -> FilterSyntaxError:
    return FilterSyntaxError(
        f"filter, column {column + 1}: {message}: {text[:column]}>>>{text[column:]}",
        hint="for example: genre = 'jazz' and duration < 10 and year in (1999, 2000)",
    )


class _Parser:
    """Recursive descent over the tokens, one method per rule of the grammar."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek()
        if token.kind != "end":
            self._next += 1
        return token

    def _accept(self, word: str) -> bool:
        if self._peek().word == word:
            self._next += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._fail(f"expected {word!r}")

    def _fail(self, message: str) -> FilterSyntaxError:
        token = self._peek()
        came = repr(token.text) if token.text else "the end"
        return _error(self._text, token.column, f"{message}, got {came}")

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            raise self._fail("expected 'and', 'or' or the end")

    def disjunction(self) -> Expr:
        terms = [self._conjunction()]
        while self._accept("or"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _conjunction(self) -> Expr:
        terms = [self._negation()]
        while self._accept("and"):
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _negation(self) -> Expr:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._fail(f"at most {_MAX_DEPTH} levels of 'not' and parentheses")
        try:
            if self._accept("not"):
                return Not(self._negation())
            if self._accept("("):
                expr = self.disjunction()
                self._expect(")")
                return expr
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Expr:
        field = self._field()
        token = self._peek()
        if token.kind == "op" and token.text in _COMPARISONS:
            self._take()
            return Compare(field, _OPERATORS.get(token.text, token.text), self._value())
        if self._accept("is"):
            negated = self._accept("not")
            self._expect("null")
            return Exists(field) if negated else Not(Exists(field))
        negated = self._accept("not")
        expr = self._membership(field)
        if expr is None:
            if negated:
                raise self._fail("expected 'in', 'like' or 'between'")
            return Exists(field)
        return Not(expr) if negated else expr

    def _membership(self, field: str) -> Expr | None:
        if self._accept("like"):
            if self._peek().kind != "text":
                raise self._fail("'like' takes a text in quotes")
            return Compare(field, "like", self._value())
        if self._accept("between"):
            low = self._value()
            self._expect("and")
            return And((Compare(field, ">=", low), Compare(field, "<=", self._value())))
        if self._accept("in"):
            self._expect("(")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._expect(")")
            return In(field, tuple(values))
        return None

    def _field(self) -> str:
        token = self._peek()
        if token.kind == "quoted":
            return self._take().text[1:-1]
        if token.kind == "word" and token.text.lower() not in _RESERVED:
            return self._take().text
        raise self._fail("expected the name of a field")

    def _value(self) -> Scalar:
        token = self._peek()
        if token.kind == "text":
            quote = token.text[0]
            return self._take().text[1:-1].replace(quote * 2, quote)
        if token.kind == "number":
            return _number(self._take().text)
        hint = ", in quotes" if token.kind == "word" else ""
        raise self._fail(f"expected a text or a number{hint}")


def _number(text: str) -> int | float:
    value = float(text)
    if math.isinf(value):  # of hundreds of digits: no float, and no store, holds it otherwise
        return value
    try:
        return int(text)
    except ValueError:
        return value


def fields_of(expr: Expr) -> set[str]:
    """Return the names of all fields in an expression.

    Examples
    --------
    >>> sorted(fields_of(parse("genre = 'jazz' or not year > 1999")))
    ['genre', 'year']
    """
    if isinstance(expr, And | Or):
        return set().union(*(fields_of(term) for term in expr.terms))
    if isinstance(expr, Not | OneLabel):
        return fields_of(expr.term)
    return {expr.field}


def format(expr: Expr) -> str:  # noqa: A001 - read as where.format
    """Write an expression so that `parse` gives it back.

    Examples
    --------
    >>> format(parse("GENRE='jazz' AND (a or b)"))
    "GENRE = 'jazz' and (a or b)"
    """
    if isinstance(expr, And):
        return " and ".join(_inner(term, And) for term in expr.terms) or "not (id or not id)"
    if isinstance(expr, Or):
        return " or ".join(_inner(term, Or) for term in expr.terms)
    if isinstance(expr, Not):
        return f"not {_inner(expr.term, Not)}"
    if isinstance(expr, OneLabel):
        return format(expr.term)
    name = _format_field(expr.field)
    if isinstance(expr, Exists):
        return name
    if isinstance(expr, In):
        return f"{name} in ({', '.join(_format_value(value) for value in expr.values)})"
    return f"{name} {expr.op} {_format_value(expr.value)}"


def _inner(term: Expr, outer: type[And] | type[Or] | type[Not]) -> str:
    return f"({format(term)})" if isinstance(term, And | Or) else format(term)


def _format_field(name: str) -> str:
    plain = re.fullmatch(r"[^\W\d][\w.:-]*", name) and name.lower() not in _RESERVED
    return name if plain else f"`{name}`"


def _format_value(value: Scalar) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


# --- labels ------------------------------------------------------------------------------------

LABEL_FIELDS: Mapping[str, str] = {"tag": "text", "score": "number"}
"""Fields of a label, with their types."""


def bind_labels(expr: Expr) -> Expr:
    """Say which tests of ``tag`` and ``score`` are about one and the same label.

    Examples
    --------
    >>> bind_labels(parse("tag = 'Dog' and year > 1999")).terms[0]
    OneLabel(term=Compare(field='tag', op='=', value='Dog'))
    """
    if isinstance(expr, And):
        return _grouped(expr)
    if isinstance(expr, Or):
        return Or(tuple(bind_labels(term) for term in expr.terms))
    if isinstance(expr, Not):
        return Not(bind_labels(expr.term))
    return OneLabel(_lowered(expr)) if _about_label(expr) else expr


def _about_label(expr: Expr) -> bool:
    """Say whether all of an expression is about one label (so nothing in it is negated)."""
    if isinstance(expr, And | Or):
        return bool(expr.terms) and all(_about_label(term) for term in expr.terms)
    if isinstance(expr, Not | OneLabel):
        return False
    return expr.field.casefold() in LABEL_FIELDS


def _flat(expr: Expr) -> list[Expr]:
    if isinstance(expr, And):
        return [part for term in expr.terms for part in _flat(term)]
    return [expr]


def _grouped(expr: And) -> Expr:
    """Join the tests of ``score`` to the test of ``tag`` before them (the first to the first)."""
    groups: list[list[Expr]] = []
    others: list[Expr] = []
    for term in _flat(expr):
        if not _about_label(term):
            others.append(bind_labels(term))
        elif not groups or (
            "tag" in _folded(term) and any("tag" in _folded(t) for t in groups[-1])
        ):
            groups.append([term])
        else:
            groups[-1].append(term)
    bound: list[Expr] = [
        OneLabel(_lowered(group[0] if len(group) == 1 else And(tuple(group)))) for group in groups
    ]
    terms = (*bound, *others)
    return terms[0] if len(terms) == 1 else And(terms)


def _lowered(expr: Expr) -> Expr:
    """Write the names of fields as `LABEL_FIELDS` does."""
    if isinstance(expr, And | Or):
        return type(expr)(tuple(_lowered(term) for term in expr.terms))
    if isinstance(expr, Compare | In | Exists):
        return replace(expr, field=expr.field.casefold())
    return expr


def _folded(expr: Expr) -> set[str]:
    return {name.casefold() for name in fields_of(expr)}


# --- meaning -----------------------------------------------------------------------------------


def equal_forms(value: Scalar) -> tuple[Scalar, ...]:
    """Return all stored values that ``= value`` takes as equal: the number and its plain text.

    Examples
    --------
    >>> equal_forms("1999"), equal_forms("jazz")
    (('1999', 1999), ('jazz',))
    """
    if not isinstance(value, str):
        return (value, number_text(value))
    try:
        number = _number(value)
    except ValueError:
        return (value,)
    return (value, number) if number_text(number) == value else (value,)


def number_text(value: int | float) -> str:
    """Return a number's decimal text: an integer's digits, else up to 15 significant digits."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.15g}"
    return text if any(mark in text for mark in ".einf") else f"{text}.0"


def like_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that means the same as a ``like`` pattern."""
    parts = (".*" if c == "%" else "." if c == "_" else _fold(re.escape(c)) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _fold(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def matches(
    expr: Expr, values: Mapping[str, Scalar], labels: Sequence[tuple[str, float]] | None = None
) -> bool:
    """Say whether a track's values meet an expression: the reference for every store.

    Parameters
    ----------
    expr : Expr
    values : mapping
        Field name to value; a field that is not there has no entry.
    labels : sequence of (name, score), optional
        Of a library with labels: those of the track.

    Examples
    --------
    >>> matches(parse("year between 1990 and 1999"), {"year": 1995})
    True
    """
    if labels is not None:
        expr = bind_labels(expr)
    return _matches(expr, values, labels or ())


def _matches(expr: Expr, values: Mapping[str, Scalar], labels: Sequence[tuple[str, float]]) -> bool:
    if isinstance(expr, And):
        return all(_matches(term, values, labels) for term in expr.terms)
    if isinstance(expr, Or):
        return any(_matches(term, values, labels) for term in expr.terms)
    if isinstance(expr, Not):
        return not _matches(expr.term, values, labels)
    if isinstance(expr, OneLabel):
        return any(_matches(expr.term, {"tag": n, "score": s}, ()) for n, s in labels)
    value = values.get(expr.field)
    if value is None:
        return False
    if isinstance(expr, Exists):
        return value not in ("", 0)
    if isinstance(expr, In):
        return any(value in equal_forms(allowed) for allowed in expr.values)
    return _compare(value, expr.op, expr.value)


def _compare(value: Scalar, op: str, other: Scalar) -> bool:
    if op == "=":
        return value in equal_forms(other)
    if op == "!=":
        return value not in equal_forms(other)
    if op == "like":
        text = value if isinstance(value, str) else number_text(value)
        return like_pattern(str(other)).fullmatch(_fold(text)) is not None
    if isinstance(value, str) and isinstance(other, str):
        return _ordered(value, op, other)
    if isinstance(value, str) or isinstance(other, str):
        return False
    return _ordered(value, op, other)


def _ordered(a: str | float, op: str, b: str | float) -> bool:
    # Both sides are texts or both are numbers; mypy cannot say so of a pair.
    if op == "<":
        return a < b  # type: ignore[operator]
    if op == "<=":
        return a <= b  # type: ignore[operator]
    if op == ">":
        return a > b  # type: ignore[operator]
    return a >= b  # type: ignore[operator]

"""The language of filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark import where
from earmark.errors import FilterSyntaxError
from earmark.types import And, Compare, Exists, Expr, In, Not, Or


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("genre = 'jazz'", Compare("genre", "=", "jazz")),
        ('genre == "jazz"', Compare("genre", "=", "jazz")),
        ("a <> 1", Compare("a", "!=", 1)),
        ("a!=-1.5e3", Compare("a", "!=", -1500.0)),
        ("a >= .5", Compare("a", ">=", 0.5)),
        ("title like '%x_'", Compare("title", "like", "%x_")),
        ("a not like 'x'", Not(Compare("a", "like", "x"))),
        ("year in (1999, '2000')", In("year", (1999, "2000"))),
        ("year NOT IN (1)", Not(In("year", (1,)))),
        ("a between 1 and 2", And((Compare("a", ">=", 1), Compare("a", "<=", 2)))),
        ("a not between 1 and 2", Not(And((Compare("a", ">=", 1), Compare("a", "<=", 2))))),
        ("bpm", Exists("bpm")),
        ("bpm is null", Not(Exists("bpm"))),
        ("bpm is not null", Exists("bpm")),
        ("not not a", Not(Not(Exists("a")))),
        ("a or b and c", Or((Exists("a"), And((Exists("b"), Exists("c")))))),
        ("(a or b) and not c", And((Or((Exists("a"), Exists("b"))), Not(Exists("c"))))),
        ("`odd name` = 'it''s'", Compare("odd name", "=", "it's")),
        ("MusicBrainz.id = 'x'", Compare("MusicBrainz.id", "=", "x")),
        ("größe > 3", Compare("größe", ">", 3)),
        ("a = 'x' and b = '; drop table tracks --'",
         And((Compare("a", "=", "x"), Compare("b", "=", "; drop table tracks --")))),
    ],
)  # fmt: skip
def test_parse(text: str, expr: Expr) -> None:
    assert where.parse(text) == expr


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("genre =", 8),
        ("genre = jazz", 9),
        ("genre = 'jazz", 9),
        ("genre = 'a' 'b'", 13),
        ("(a or b", 8),
        ("a and", 6),
        ("a in ()", 7),
        ("a in (1", 8),
        ("a like 5", 8),
        ("a not", 6),
        ("a not = 1", 7),
        ("a between 1", 12),
        ("and", 1),
        ("a = 1;", 6),
        ("a = 12abc", 5),
        ("a = 1 # x", 7),
        ("a is 5", 6),
        ("a)", 2),
        ("(" * 200 + "a" + ")" * 200, 101),
    ],
)
def test_errors_point_at_the_column(text: str, column: int) -> None:
    with pytest.raises(FilterSyntaxError, match=f"column {column}:") as caught:
        where.parse(text)
    assert caught.value.hint


FIELDS = st.sampled_from(["genre", "year", "odd name", "and", "x.y", "größe"])
VALUES = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.sampled_from(["1999", "1.5", "", "jazz"]),
)
TESTS = st.one_of(
    st.builds(Compare, FIELDS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), VALUES),
    st.builds(Compare, FIELDS, st.just("like"), st.text("ab%_'", max_size=6)),
    st.builds(In, FIELDS, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Exists, FIELDS),
)
EXPRESSIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_format_is_the_inverse_of_parse(expr: Expr) -> None:
    assert where.parse(where.format(expr)) == expr


@given(st.text(max_size=40))
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    try:
        where.parse(text)
    except FilterSyntaxError:
        return


def test_fields_of() -> None:
    expr = where.parse("a = 1 or (b and not c like 'x') or d in (1)")
    assert where.fields_of(expr) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("year = 1999", True),
        ("year = '1999'", True),
        ("year = 1999.0", True),
        ("year = '1999.0'", True),
        ("year = '01999'", False),
        ("year < 'x'", False),
        ("not year < 'x'", True),
        ("genre < 'k'", True),
        ("genre = 'Jazz'", False),
        ("genre like 'J_Z%'", True),
        ("genre like 'az'", False),
        ("missing = 1", False),
        ("missing != 1", False),
        ("not missing = 1", True),
        ("missing not in (1)", True),
        ("zero", False),
        ("empty", False),
        ("year", True),
        ("year like '19%'", True),
        ("year between 1999 and 1999", True),
        ("genre in ('rock', 'jazz') and year > 1998", True),
    ],
)
def test_matches(text: str, holds: bool) -> None:
    values = {"year": 1999, "genre": "jazz", "zero": 0, "empty": ""}
    assert where.matches(where.parse(text), values) is holds


# --- labels ------------------------------------------------------------------------------------

LABELS = [("Dog", 0.4), ("Bark", 0.9), ("Rain", 0.2)]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("tag = 'Dog'", True),
        ("tag = 'dog'", False),
        ("tag like 'dog'", True),
        ("score > .8", True),
        ("tag = 'Dog' and score > .5", False),  # Bark has the score, not Dog
        ("score > .5 and tag = 'Dog'", False),
        ("tag = 'Dog' and score > .3", True),
        ("tag = 'Dog' and tag = 'Bark'", True),  # two labels
        ("tag = 'Dog' and score > .3 and tag = 'Bark' and score > .8", True),
        ("tag = 'Dog' and score > .3 and tag = 'Rain' and score > .8", False),
        ("tag = 'Dog' and year > 1999 and score < .5", True),
        ("tag = 'Dog' and score between .35 and .45", True),
        ("tag = 'Rain' and score between .35 and .45", False),
        ("(tag = 'Dog' or tag = 'Rain') and score > .5", False),
        ("(tag = 'Dog' or tag = 'Bark') and score > .5", True),
        ("not tag = 'Cat'", True),
        ("not tag = 'Dog'", False),
        ("not (tag = 'Dog' and score > .5)", True),
        ("tag != 'Dog'", True),  # there is another label
        ("tag in ('Cat', 'Bark')", True),
        ("tag", True),
        ("year = 2000 or tag = 'Cat'", True),
        ("Tag = 'Dog' and SCORE > .3", True),
    ],
)
def test_tests_of_score_are_about_the_label_before_them(text: str, holds: bool) -> None:
    assert where.matches(where.parse(text), {"year": 2000}, LABELS) is holds


def test_without_labels_tag_and_score_are_fields_like_others() -> None:
    expr = where.parse("tag = 'mine' and score > 3")
    assert where.matches(expr, {"tag": "mine", "score": 4})
    assert not where.matches(expr, {"tag": "mine", "score": 4}, [])


def test_bound_expressions_are_written_as_they_were_read() -> None:
    text = "tag = 'Dog' and score > 0.5"
    assert where.format(where.bind_labels(where.parse(text))) == text
    assert where.bind_labels(where.parse("a = 1 and not b")) == where.parse("a = 1 and not b")

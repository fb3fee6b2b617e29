"""Labels of one's own without a text model: which of a tagger's classes does a label name?

A label names the class that is called so, else those that have it for one of their names ("Baby
cry, infant cry" has two), else those with all of its words in one name.  A label of several words
that no class has together ("dog barking") asks for classes of each of them.  Case, endings and
little words do not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LITTLE = frozenset(
    ("a", "an", "the", "of", "in", "on", "at", "with", "and", "or", "to", "from", "by", "some")
)
_WORD = re.compile(r"[^\W_]+")


def classes_of(label: str, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Find the classes that a label names.

    Parameters
    ----------
    label : str
    names : sequence of str
        Of the classes; alternatives are separated by commas.

    Returns
    -------
    tuple of tuples of int
        Groups of places in `names`: the label is heard if a class of every group is.  Empty if
        the label, or one of its words, names no class.

    Examples
    --------
    >>> names = ["Dog", "Bark", "Rain", "Rain on surface", "Baby cry, infant cry"]
    >>> classes_of("rain", names), classes_of("a baby crying", names)
    (((2,),), ((4,),))
    >>> classes_of("dogs barking", names), classes_of("a dog far away", names)
    (((0,), (1,)), ())
    """
    whole = tuple(i for i, name in enumerate(names) if name.casefold() == label.casefold().strip())
    if whole:
        return (whole,)
    words = _words(label)
    together = _having(words, names)
    if together:
        return (together,)
    each = [_having((word,), names) for word in words]
    return tuple(each) if each and all(each) else ()


def _having(words: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Classes with a name of exactly these words, else with a name that has all of them."""
    if not words:
        return ()
    spoken = [[_words(part) for part in name.split(",")] for name in names]
    same = tuple(i for i, parts in enumerate(spoken) if tuple(words) in parts)
    wanted = set(words)
    return same or tuple(
        i for i, parts in enumerate(spoken) if any(wanted <= set(p) for p in parts)
    )


def _words(text: str) -> tuple[str, ...]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return tuple(_stem(word) for word in words if word not in _LITTLE) or tuple(map(_stem, words))


def _stem(word: str) -> str:
    """A word without the commonest English endings."""
    for ending, instead in (("ies", "y"), ("ying", "y"), ("ing", ""), ("s", "")):
        kept = word.removesuffix(ending)
        if kept != word and len(kept) >= 3 and not word.endswith("ss"):
            word = kept + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]  # running, run
    return word[:-1] if len(word) > 3 and word.endswith("e") else word  # sneezing, sneeze

"""Words that a person typed -> a query of PostgreSQL's full-text search that PostgreSQL never refuses.

What it refuses by itself: a pile of negations ("tsquery stack too small"), NUL characters, halves of surrogate pairs.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, reduce
from operator import and_
from pathlib import Path

from django.contrib.postgres.search import CombinedSearchQuery, SearchQuery

from catalog.folding import fold

LETTERS_READ = 1_000  # of one query; the rest is left out, as a parameter of the API holds 200 at most
WORDS_READ = 50  # of a search by the beginnings of words
EQUIPMENT_FILE = Path(__file__).parent / "data" / "equipment.toml"
_OPERATORS = re.compile(r"\"|(?<!\S)-|\b(?:or|OR|oder)\b")
SEVERAL_NEGATIONS = re.compile(r"-(?:\W*-)+")  # not even a word in between; PostgreSQL has room for 31 of them


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot keep: NUL characters and halves of surrogate pairs."""
    return text.replace("\0", " ").encode(errors="ignore").decode()


def web_query(text: str) -> SearchQuery | CombinedSearchQuery:
    """A query as on the web: “quoted” phrases, OR and -without. A text without a word in it matches nothing.

    Equipment is found by all its names (``sat nav``, ``Navi``), unless the query has an operator.
    """
    words = SEVERAL_NEGATIONS.sub("-", fold(storable(text[:LETTERS_READ])))
    equipment = [] if _OPERATORS.search(words) else _names_of_equipment().findall(words)
    groups = [_group_of()[_spaced(name)] for name in equipment]
    if equipment:
        words = _names_of_equipment().sub(" ", words)
    queries = [SearchQuery(group, search_type="raw", config="simple") for group in dict.fromkeys(groups)]
    if words.strip() or not queries:
        queries.insert(0, SearchQuery(words, search_type="websearch", config="simple"))
    return reduce(and_, queries)


def _spaced(name: str) -> str:
    return " ".join(re.findall(r"\w+", name.lower(), re.ASCII))


@cache
def _group_of() -> dict[str, str]:
    """A name of equipment -> a query for all names of the same."""
    groups: dict[str, str] = {}
    for phrases in tomllib.loads(EQUIPMENT_FILE.read_text(encoding="utf-8")).values():
        names = [_spaced(phrase) for phrase in phrases.split()]
        query = " | ".join("(" + " <-> ".join(f"'{word}'" for word in name.split()) + ")" for name in names)
        groups |= dict.fromkeys(names, query)
    return groups


@cache
def _names_of_equipment() -> re.Pattern[str]:
    names = sorted(_group_of(), key=len, reverse=True)
    return re.compile("|".join(rf"\b{name.replace(' ', r'[ -]+')}\b" for name in names), re.IGNORECASE | re.ASCII)


def beginnings_query(text: str) -> SearchQuery | None:
    """A query for words that begin like each of those in a text; None where there is no word in it."""
    words = re.findall(r"\w+", storable(text[:LETTERS_READ]))[:WORDS_READ]
    query = " & ".join(f"'{fold(word)}':*" for word in words)
    return SearchQuery(query, search_type="raw", config="simple") if words else None

"""Words that a person typed -> a query of PostgreSQL's full-text search that PostgreSQL never refuses.

What it refuses by itself: a pile of negations ("tsquery stack too small"), NUL characters, halves of surrogate pairs.
"""

from __future__ import annotations

import re

from django.contrib.postgres.search import SearchQuery

from catalog.folding import fold

LETTERS_READ = 1_000  # of one query; the rest is left out, as a parameter of the API holds 200 at most
WORDS_READ = 50  # of a search by the beginnings of words
SEVERAL_NEGATIONS = re.compile(r"-(?:\W*-)+")  # not even a word in between; PostgreSQL has room for 31 of them


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot keep: NUL characters and halves of surrogate pairs."""
    return text.replace("\0", " ").encode(errors="ignore").decode()


def web_query(text: str) -> SearchQuery:
    """A query as on the web: “quoted” phrases, OR and -without. A text without a word in it matches nothing."""
    words = SEVERAL_NEGATIONS.sub("-", fold(storable(text[:LETTERS_READ])))
    return SearchQuery(words, search_type="websearch", config="simple")


def beginnings_query(text: str) -> SearchQuery | None:
    """A query for words that begin like each of those in a text; None where there is no word in it."""
    words = re.findall(r"\w+", storable(text[:LETTERS_READ]))[:WORDS_READ]
    query = " & ".join(f"'{fold(word)}':*" for word in words)
    return SearchQuery(query, search_type="raw", config="simple") if words else None

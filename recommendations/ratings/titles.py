"""Finding the item that a person means by a title: with or without its year, with small typos.

Titles are compared by their letters and digits in lower case, without accents and articles, so that “The Matrix”,
“Matrix, The (1999)” and “matrix” are one, as are “Rocky IV” and “rocky 4”; names in brackets (“Seven (a.k.a. Se7en)”)
count as well. What stands before a colon is the name of a series, and means the best known item of it where no item is
called that alone, or only one that is far less known: “Lord of the Rings” is part of the trilogy. What equals no title
may differ by one letter for every four, at most three, but not in its numbers: “Toy Story 3” is no typo of “Toy Story
2”. A year may be one off, as sources disagree about it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

YEAR = re.compile(r"\s*\((\d{4})(?:[-–/]\d{0,4})?\)\s*$")
BRACKETS = re.compile(r"\(([^()]*)\)")
ALSO_KNOWN_AS = re.compile(r"^(a\.?k\.?a\.?|also known as)\s+", re.IGNORECASE)
LAST_ARTICLE = re.compile(r"^(.*), (\w+'?)$")
ARTICLES = frozenset(
    ["a", "an", "das", "der", "die", "ein", "eine", "el", "gli", "i", "il", "l", "la", "las", "le", "les", "lo", "los",
     "the", "un", "una", "une"]
)  # fmt: skip
NUMERALS = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "xi": "11", "xii": "12"}
LONGEST_TITLE = 200  # letters; comparing takes time with their number
LETTERS_PER_TYPO = 4
TYPOS_AT_MOST = 3
N_NEAREST = 5
FAR_BETTER_KNOWN = 5  # times as many ratings
LEAST_SERIES = 3  # items of one name before a colon; two are an item and what followed it


def year_of(title: str) -> tuple[str, str]:
    """(title without its year, year): “Heat (1995)” -> “Heat”, “1995”; the year is empty where there is none."""
    found = YEAR.search(title)
    return (title[: found.start()], found[1]) if found else (title, "")


def simplified(text: str, *, with_articles: bool = False) -> str:
    """Lower-case words without accents, punctuation and articles; with the articles when nothing else is left."""
    if moved := LAST_ARTICLE.match(text.strip()):
        text = f"{moved[2]} {moved[1]}" if moved[2].casefold().rstrip("'") in ARTICLES else text
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("&", " and "))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    words = [NUMERALS.get(word, word) for word in re.findall(r"[^\W_]+", re.sub(r"['’`´]", "", plain))]
    if with_articles:
        return " ".join(words)
    return " ".join([word for word in words if word not in ARTICLES] or words)


def texts_of(title: str) -> Iterator[str]:
    """How a title without its year may be said: as a whole, without its brackets, and by what stands in each of them.

    Every way comes without articles first, and then with them, so that a typo in “The” is a small one.
    """
    for part in [title, BRACKETS.sub(" ", title), *BRACKETS.findall(title)]:
        part = ALSO_KNOWN_AS.sub("", part)
        yield simplified(part)
        yield simplified(part, with_articles=True)


def series_of(title: str) -> Iterator[str]:
    """How the series of a title without its year may be called; nothing where no colon names one."""
    for part in [title, *BRACKETS.findall(title)]:
        series, colon, rest = part.partition(":")
        if colon and rest.strip():
            yield simplified(series)
            yield simplified(series, with_articles=True)


def numbers_in(text: str) -> list[str]:
    return [word for word in text.split() if word.isdigit()]


@dataclass
class TitleIndex:
    """Titles by item, and items by what people call them.

    Attributes:
        titles: By item id.
        weights: How often each item was rated: of several that a name may mean, the best known one is meant.
    """

    titles: Mapping[str, str]
    weights: Mapping[str, int]
    _by_text: dict[str, list[tuple[str, str]]] = field(default_factory=dict, repr=False)  # (year, item id), best first
    _by_series: dict[str, list[tuple[str, str]]] = field(default_factory=dict, repr=False)  # likewise

    def __post_init__(self) -> None:
        for item_id in sorted(self.titles, key=lambda item_id: -self.weights.get(item_id, 0)):
            name, year = year_of(self.titles[item_id])
            for text in filter(None, dict.fromkeys(texts_of(name))):
                self._by_text.setdefault(text, []).append((year, item_id))
            for text in filter(None, dict.fromkeys(series_of(name))):
                self._by_series.setdefault(text, []).append((year, item_id))
        self._texts = list(self._by_text)
        best_known = (items[0][1] for items in self._by_text.values())
        self._fame = 10 * np.log10([1 + self.weights.get(item_id, 0) for item_id in best_known])

    def title_of(self, item_id: str) -> str:
        """An item without a title goes by its id."""
        return self.titles.get(item_id, item_id)

    def find(self, title: str) -> str | None:
        """The id of the item meant, or None."""
        name, year = year_of(title.strip()[:LONGEST_TITLE])
        return self.find_exactly(title) or self._nearly(_texts_asked(name), year)

    def find_exactly(self, title: str) -> str | None:
        """The same without typos, which is fast. An id by itself means its item, unless a title reads the same.

        The best known of a series is meant where no item is called that alone, or a far less known one.
        """
        title = title.strip()
        name, year = year_of(title[:LONGEST_TITLE])
        texts = _texts_asked(name)
        found, of_series = (
            next(filter(None, (_of_year(items, text, year) for text in texts)), None)
            for items in (self._by_text, self._by_series)
        )
        if found is None and (title in self.titles or title in self.weights):
            return title
        if found is None or of_series is None:
            return found or of_series
        known, of_series_known = self.weights.get(found, 0), self.weights.get(of_series, 0)
        is_meant = any(len(self._by_series.get(text, [])) >= LEAST_SERIES for text in texts)
        return of_series if is_meant and of_series_known > FAR_BETTER_KNOWN * known else found

    def nearest(self, title: str) -> list[str]:
        """The titles that look most like it, best first, whether or not they are like it at all; its series before all.

        Likeness is of the letters in their order and of the words whatever else a title says, so that “Star Wars” is
        near “Star Wars: Episode IV - A New Hope”; a hundred times as many ratings make up for a tenth of it.
        """
        text = simplified(year_of(title[:LONGEST_TITLE])[0])
        if not text or not self._texts:
            return []
        likeness = self._fame + sum(
            process.cdist([text], self._texts, scorer=scorer)[0] for scorer in (fuzz.ratio, fuzz.token_set_ratio)
        )
        best = np.argsort(-likeness, kind="stable")[: 4 * N_NEAREST]
        series = [item_id for _, item_id in self._by_series.get(text, [])]
        series = series if len(series) >= LEAST_SERIES else []
        items = dict.fromkeys(series + [self._by_text[self._texts[row]][0][1] for row in best])
        return [self.title_of(item_id) for item_id in items][:N_NEAREST]

    def _nearly(self, texts: list[str], year: str) -> str | None:
        """The least different title that a slip of the fingers explains; of equals the best known one."""
        candidates = [
            (distance, -self.weights.get(item_id, 0), item_id)
            for text in texts
            for near, distance, _ in process.extract(
                text, self._texts, scorer=OSA.distance, score_cutoff=_typos_in(text), limit=50
            )
            if numbers_in(near) == numbers_in(text) and (item_id := _of_year(self._by_text, near, year))
        ]
        return min(candidates)[2] if candidates else None


def _of_year(by_text: Mapping[str, list[tuple[str, str]]], text: str, year: str) -> str | None:
    """The best known item of that name and, if one is given, that year; else of a year beside it."""
    items = by_text.get(text, [])
    for years in _acceptable(year):
        for of_item, item_id in items:
            if not years or of_item in years:
                return item_id
    return None


def _texts_asked(name: str) -> list[str]:
    return list(filter(None, dict.fromkeys([simplified(name), simplified(name, with_articles=True)])))


def _typos_in(text: str) -> int:
    return min(TYPOS_AT_MOST, len(text) // LETTERS_PER_TYPO)


def _acceptable(year: str) -> list[set[str]]:
    """Sets of years to be content with, one after the other; an empty set is content with any."""
    if not year:
        return [set()]
    return [{year, ""}, {str(int(year) - 1), str(int(year) + 1)}]

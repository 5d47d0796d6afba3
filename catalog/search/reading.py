"""A typed search -> what is understood of it, as parameters of the search, and the words that are left; no database.

Every word of a name or a closed set, and every amount, becomes the value of a parameter. The other words are looked for
in the texts of the listings. A caller can undo each of the readings.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from catalog.imports.vocabulary import PLAIN_WORDS
from catalog.search.amounts import FoundAmount, amounts_in, composed, distances_in, plain_search
from catalog.search.lexicon import EQUIPMENT, FIELDS, FILLERS, NAMES_ALL_THE_SAME, VANS, Lexicon, Meaning
from catalog.search.towns import Town

MAX_WORDS = 5  # of a name or a phrase
FARTHEST_KM = 500.0  # no one means a longer distance as "near"
NEGATIONS = PLAIN_WORDS["search_negations"]
CLOSED = ("fuel", "body", "gearbox", "drive", "colour")  # what "not diesel" is the rest of
NAMES = ("brand", "model", "q")  # what "not ford" leaves out by the texts
SEATS_OF_A_VAN = 6  # from as many on it is one for people
ARTICLES = PLAIN_WORDS["search_articles"]
LETTERS_THAT_ARE_WORDS = ("a", "i")
BODIES_BEHIND_MODELS = frozenset(["allroad", "gran turismo", "granturismo"])  # by themselves they are names
CHAIRS = PLAIN_WORDS["search_chairs"]
GERMAN = PLAIN_WORDS["search_german"]
TOWNS_AND_WORDS = PLAIN_WORDS["search_words_and_towns"]
_VERBATIM = re.compile(r'"[^"]*"|(?<!\S)-[^\W_]\S*')
_EMISSIONS = re.compile(r"(?<![^\W_])(?<!\d )(?<!k )euro[ -]?([1-7][a-e]?)(?![^\W_])")  # "15000 euro 6" is a price
_OTHER_COSTS = re.compile(
    r"\s+(?:to (?:run|insure|tax|maintain)|(?:on )?(?:insurance|(?:road )?tax|fuel|running costs)|"
    r"(?:in der |im )?(?:versicherung|steuern?|unterhalt|verbrauch))(?![^\W_])"
)
_WORD = re.compile(r"\d+[.,]\d+|[^\W\d_]+\+(?!\S)|[^\W_]+")  # a plus ends a name: Ka+
_NEGATED = re.compile(
    r"(?<![^\W_])(?:(?:anything|everything|all|any) (?:but|except)(?: for)?|other than|apart from|rather than|"
    rf"alles ausser|(?:{'|'.join(sorted(NEGATIONS))}))\s+(?:(?:an?|any|the|eine?n?|die|der|das) )?$"
)
_AND_NOT = re.compile(r"\s*(?:,|or|and|nor|oder|und|noch|/)\s*(?:(?:no|not|kein\w*) )?")
_GERMAN_NOUN = re.compile(r"(?<![^\W_])[^\W\d_]{3,}es autos?(?![^\W_])")  # schnelles Auto
_NEAR = re.compile(
    r"(?<![^\W_])(?P<sure>near(?:by)?(?: to)?|close to|in der (?:nahe|umgebung|gegend) von|nahe(?: bei| von)?|bei|"
    r"rund um|(?:im )?raum|(?:im )?umkreis (?:von|um)|based in|located in|in the area of)\s+$"
    r"|(?<![^\W_])(?:in|from|um|aus|around|at|von)\s+$"
)
_DISTANCE_TO = re.compile(
    r"\s*(?:radius |umkreis |away )?(?:(?:of|from|around|near|to|um|von|rund um|bei|entfernt von)\s+)?"
)
_WITHIN = re.compile(
    r"(?<![^\W_])(?:within|inside|im umkreis von|umkreis(?: von)?|max\.?|up to|bis zu|bis|in|less than)\s*$"
)
_AND_WITHIN = re.compile(
    r"[\s,]*(?:within|im umkreis(?: von)?|umkreis(?: von)?|radius(?: of)?|\+|\(|plus|and)?\s*\+?\s*"
)
_RADIUS = re.compile(r"\)?\s*(?:radius|umkreis|around|away)?")


@dataclass(frozen=True)
class Understood:
    """One reading: the words as they were typed, and the parameter of the search that they set."""

    text: str
    field: str
    value: str | float | int


@dataclass(frozen=True)
class SearchReading:
    """The parts that are understood, in the order of the text, and the words to search for as text ('' for none)."""

    understood: tuple[Understood, ...]
    rest: str

    def values(self, field: str) -> list[Any]:
        return [one.value for one in self.understood if one.field == field]

    @property
    def ordering(self) -> str:
        return next(iter(self.values("ordering")), "")


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    word: str  # as it is looked up: in small letters, corrected


def read_search(
    text: str, lexicon: Lexicon, *, this_year: int, in_miles: bool = False, undone: Collection[str] = ()
) -> SearchReading:
    """Read a typed search.

    Args:
        text: Anything.
        lexicon: The words that are known.
        this_year: Ages are counted from it; a number up to the next year can be a year.
        in_miles: Whether a distance without a unit is in miles.
        undone: Parameters, or words of the text, that must not be understood.
    """
    return _Reader(composed(text), lexicon, this_year, in_miles, undone).read()


class _Reader:
    def __init__(self, text: str, lexicon: Lexicon, this_year: int, in_miles: bool, undone: Collection[str]) -> None:
        self.text, self.plain = text, plain_search(text)
        self.lexicon, self.this_year, self.in_miles = lexicon, this_year, in_miles
        self.undone = {plain_search(composed(one)).strip() for one in undone}
        self.is_taken = [False] * len(text)
        self.found: list[tuple[int, Understood]] = []
        self.rest: list[tuple[int, str]] = []
        self.uses: list[Understood] = []  # bodies of "family car" and the like, which a body that is named goes before
        self.excluded: list[tuple[str, Any]] = []
        self.negated_until = -1  # where what stands behind a "not" ends, and its field
        self.negated_field = ""
        self.makes: list[str] = []

    def read(self) -> SearchReading:
        for match in _VERBATIM.finditer(self.text):
            self._leave(match.start(), match.end(), match[0])
        for match in _EMISSIONS.finditer(self.plain):
            if self._is_free(match.start(), match.end()):
                self._leave(match.start(), match.end(), f'"euro {match[1]}"')
        self._read_towns()
        amounts = amounts_in(self.plain, self.this_year, in_miles=self.in_miles)
        for amount in amounts:
            if not amount.is_weak:
                self._put_amount(amount)
        self._read_names_and_words()
        for amount in amounts:
            if amount.is_weak and not self._is_a_models_number(amount):
                self._put_amount(amount)
        self._leave_the_others()
        understood = self._without_contradictions([one for _, one in sorted(self.found, key=lambda pair: pair[0])])
        rest = " ".join(piece for _, piece in sorted(self.rest, key=lambda pair: pair[0]))
        if not rest and not understood and not FILLERS.issuperset(self.plain.split()):
            rest = self.text.strip()  # there is something to look for; "cars for sale" asks for all of them
        return SearchReading(tuple(_each_once(understood)), rest)

    def _without_contradictions(self, understood: list[Understood]) -> list[Understood]:
        """Not the bodies that "family" stands for where a body is named, nor a value that is excluded elsewhere."""
        is_body_named = any(one.field == "body" and one not in self.uses for one in understood)
        return [
            one
            for one in understood
            if not (is_body_named and one in self.uses) and (one.field, one.value) not in self.excluded
        ]

    # --- what is taken and what is left ------------------------------------------------------------------------------

    def _is_free(self, start: int, end: int) -> bool:
        return not any(self.is_taken[start:end])

    def _take(self, start: int, end: int) -> None:
        self.is_taken[start:end] = [True] * (end - start)

    def _leave(self, start: int, end: int, piece: str) -> None:
        self._take(start, end)
        if piece.strip():
            self.rest.append((start, piece.strip()))

    def _put(self, start: int, end: int, readings: Iterable[tuple[str, Any]]) -> None:
        """Note what a part of the text means; where the caller has undone that, its words are left as they stand."""
        text = self.text[start:end].strip()
        readings = list(readings)
        kept = [pair for pair in readings if pair[0] not in self.undone]
        if plain_search(text) in self.undone or (len(kept) < len(readings) and "model" in self.undone):
            kept = []
        if not kept:
            self._leave(start, end, text)
        self._take(start, end)
        self.found += [(start, Understood(text, field, value)) for field, value in kept]

    def _put_amount(self, amount: FoundAmount) -> None:
        if not self._is_free(amount.start, amount.end):
            return
        if amount.bounds[0].field == "engine":  # no column that is filtered: titles say it
            self._leave(amount.start, amount.end, str(amount.bounds[0].value))
            return
        self._put(amount.start, amount.end, [(bound.field, _plain_number(bound.value)) for bound in amount.bounds])

    def _is_a_models_number(self, amount: FoundAmount) -> bool:
        """Whether a bare number is the name of a model in stock, as ``3008`` is; then it is read as that."""
        number = self.plain[amount.start : amount.end].strip()
        owners = () if self.makes or amount.bounds[0].field == "year" else self.lexicon.makes_of_number(number)
        if not owners or not self._is_free(amount.start, amount.end):
            return False
        self._put_number(amount.start, amount.end, owners)
        return True

    def _put_number(self, start: int, end: int, owners: tuple[tuple[str, str], ...]) -> None:
        brand = [("brand", owners[0][0])] if len(owners) == 1 else []
        self._put(start, end, [*brand, *(("model", model) for _, model in owners)])

    # --- towns -------------------------------------------------------------------------------------------------------

    def _read_towns(self) -> None:
        words = self._free_words()
        at = 0
        while at < len(words):
            at += next((n for n in range(min(4, len(words) - at), 0, -1) if self._read_town(words[at : at + n])), 1)

    def _read_town(self, words: list[_Word]) -> bool:
        start, end = words[0].start, words[-1].end
        phrase = self.plain[start:end]
        near = _NEAR.search(self.plain, 0, start)
        distance = self._distance_to(start)
        if near and near["sure"]:
            town = self.lexicon.corrected_town(phrase)
        else:
            town = self.lexicon.town(phrase)
            is_all = phrase == self.plain.strip() and not self.lexicon.make(phrase)  # Lincoln is both
            if not near and not distance and not is_all and not self._is_plainly_a_town(phrase):
                town = None
        if town is None:
            return False
        begins = distance[0] if distance else near.start() if near else start
        return self._put_town(begins, end, town, distance[1] if distance else None)

    def _is_plainly_a_town(self, phrase: str) -> bool:
        known = self.lexicon
        is_other = known.make(phrase) or known.makes_of_model(phrase) or known.meaning(phrase)
        return len(phrase) > 3 and phrase not in TOWNS_AND_WORDS and not is_other

    def _distance_to(self, start: int) -> tuple[int, float] | None:
        """The start of ``within 30 miles of`` before a town, and its kilometres."""
        for begins, ends, km in distances_in(self.plain[:start]):
            if km <= FARTHEST_KM and _DISTANCE_TO.fullmatch(self.plain, ends, start):
                within = _WITHIN.search(self.plain, 0, begins)
                return (within.start() if within else begins), km
        return None

    def _put_town(self, start: int, end: int, town: Town, km: float | None) -> bool:
        if km is None:
            end, km = self._distance_behind(end)
        readings: list[tuple[str, Any]] = [("near", town.name)]
        if km is not None:
            readings.append(("radius_km", round(min(km, FARTHEST_KM), 1)))
        if "near" in self.undone or any(one.field == "near" for _, one in self.found):
            return False
        self._put(start, end, readings)
        return True

    def _distance_behind(self, end: int) -> tuple[int, float | None]:
        """``Leeds (30 miles)``, ``München Umkreis 50 km``: where it ends, and its kilometres."""
        for begins, ends, km in distances_in(self.plain):
            if begins >= end and km <= FARTHEST_KM and _AND_WITHIN.fullmatch(self.plain, end, begins):
                radius = _RADIUS.match(self.plain, ends)
                return (radius.end() if radius else ends), km
        return end, None

    # --- names and words ---------------------------------------------------------------------------------------------

    def _free_words(self) -> list[_Word]:
        matches = _WORD.finditer(self.plain)
        return [_Word(m.start(), m.end(), m[0]) for m in matches if self._is_free(m.start(), m.end())]

    def _read_names_and_words(self) -> None:
        words = [replace(word, word=self.lexicon.corrected(word.word)) for word in self._free_words()]
        self.is_german = self._is_german(words)
        self.makes = list(self._makes_among(words))
        at = 0
        while at < len(words):
            at += next((n for n in range(min(MAX_WORDS, len(words) - at), 0, -1) if self._read_phrase(words, at, n)), 1)

    def _is_german(self, words: list[_Word]) -> bool:
        written = {*re.findall(r"[^\W\d_]+", self.plain), *(word.word for word in words)}
        return bool(written & GERMAN or re.search("[äöüß]", self.text.lower()) or _GERMAN_NOUN.search(self.plain))

    def _makes_among(self, words: list[_Word]) -> Iterator[str]:
        for at in range(len(words)):
            for n in (3, 2, 1):
                some = words[at : at + n]
                make = self.lexicon.make(" ".join(word.word for word in some)) if self._are_one_phrase(some) else ""
                if make:
                    yield make

    def _read_phrase(self, words: list[_Word], at: int, n: int) -> bool:
        some = words[at : at + n]
        if not self._are_one_phrase(some):
            return False
        phrase, start = " ".join(word.word for word in some), some[0].start
        meaning = self._meaning(phrase)
        readings = [] if self._is_rather_its_meaning(phrase, meaning) else self._name(phrase, some, words[:at])
        if meaning and meaning.field == "ordering" and (costs := _OTHER_COSTS.match(self.plain, some[-1].end)):
            self._leave(start, costs.end(), f'"{self.plain[start : costs.end()]}"')  # cheap to run is not cheap
            return True
        if not readings and meaning:
            readings = [(meaning.field, value) for value in self._values(meaning, phrase, n)]
        if not readings:
            return False
        if (negation := self._negation_before(start, readings[0][0])) is not None:
            return self._put_negated(negation, start, some[-1].end, readings)
        if meaning and meaning.is_use and readings[0][0] == "body":
            self.uses += [Understood(self.text[start : some[-1].end].strip(), *pair) for pair in readings]
        self._put(start, some[-1].end, readings)
        return True

    def _is_rather_its_meaning(self, phrase: str, meaning: Meaning | None) -> bool:
        """Whether words that are also a model's name mean something else: ``Mini convertible``, ``town car``."""
        if meaning is None or phrase in NAMES_ALL_THE_SAME or self.lexicon.make(phrase):
            return False
        if meaning.is_use:
            return not self.makes
        is_model_read = any(one.field == "model" for _, one in self.found)
        if phrase in BODIES_BEHIND_MODELS:
            return is_model_read
        in_stock = any(self.lexicon.in_stock(phrase, make) for make in self.makes)
        return meaning.field == "body" and (is_model_read or not in_stock)

    def _values(self, meaning: Meaning, phrase: str, n: int) -> tuple[Any, ...]:
        if meaning.field in ("min_year", "max_year"):
            return tuple(self.this_year - int(age) for age in meaning.values)
        if meaning.field == "q":
            return (f'"{phrase}"' if n > 1 else phrase,)
        if meaning.field == "body" and phrase in VANS and (self.is_german or self._seats() >= SEATS_OF_A_VAN):
            return ("mpv", "van")
        return meaning.values

    def _seats(self) -> float:
        seats = [one.value for _, one in self.found if one.field in ("seats", "min_seats")]
        return max((float(value) for value in seats), default=0)

    # --- negations ---------------------------------------------------------------------------------------------------

    def _negation_before(self, start: int, field: str) -> int | None:
        """The start of the ``not`` before a phrase; in ``no diesel or hybrid`` it applies to both."""
        if field not in CLOSED + NAMES:
            return None
        if negation := _NEGATED.search(self.plain, 0, start):
            return negation.start()
        goes_on = field == self.negated_field and self.negated_until >= 0
        return start if goes_on and _AND_NOT.fullmatch(self.plain, self.negated_until, start) else None

    def _put_negated(self, negation: int, start: int, end: int, readings: list[tuple[str, Any]]) -> bool:
        """``not diesel`` is every other fuel; a name that is excluded is left out by the texts: ``-ford``."""
        field = readings[0][0]
        self.negated_until, self.negated_field = end, field
        if field in NAMES:
            self._leave(negation, end, left_out(self._name_of(readings) or self.plain[start:end]))
            return True
        self.excluded += readings
        others = [value for value in FIELDS[field].values if value != "other" and (field, value) not in readings]
        self._put(negation, end, [(field, value) for value in others])
        return True

    def _name_of(self, readings: list[tuple[str, Any]]) -> str:
        """The make's own name, as titles have it, where it is the make that is excluded; or ''."""
        fields = [field for field, _ in readings]
        return self.lexicon.make_names.get(readings[0][1], "") if fields == ["brand"] else ""

    def _are_one_phrase(self, words: list[_Word]) -> bool:
        """Whether nothing but spaces, hyphens and dots stands between the words, and no word of it is read already."""
        pairs = itertools.pairwise(words)
        gaps = [self.plain[one.end : two.start] for one, two in pairs]
        return all(re.fullmatch(r"[\s./'&+:_-]{1,3}", gap) for gap in gaps) and self._is_free(
            words[0].start, words[-1].end
        )

    def _name(self, phrase: str, words: list[_Word], words_before: list[_Word]) -> list[tuple[str, Any]]:
        lexicon = self.lexicon
        before = words_before[-1].word if words_before else ""
        if phrase in ("seat", "seats"):
            return [("brand", "seat")] if phrase == "seat" and before not in CHAIRS and not before.isdigit() else []
        if make := lexicon.make(phrase):
            return [("brand", make)]
        for make in self._makes_to_try(phrase, before):
            if models := self._models(phrase, make):
                return [("brand", make), *(("model", model) for model in models)]
            if variant := lexicon.variant(phrase, make):
                return [("brand", make), *pairs_of(variant)]
        if not self.makes and (sole := lexicon.sole_variant(phrase))[0]:
            return [("brand", sole[0]), *pairs_of(sole[1])]
        if self._begins_with_an_article(words):
            return []
        if not self.makes and (glued := lexicon.glued(phrase))[0]:
            return [("brand", glued[0]), *(("model", model) for model in glued[1])]
        owners = lexicon.makes_of_model(phrase)
        models = tuple(dict.fromkeys(slug for owner in owners for slug in self._models(phrase, owner)))
        brand = [("brand", owners[0])] if len(owners) == 1 and models else []
        return [*brand, *(("model", model) for model in models)]

    def _makes_to_try(self, phrase: str, before: str) -> list[str]:
        """The makes whose models are looked through; ``2008`` is a Peugeot's name only right behind its make."""
        is_year = phrase.isdecimal() and len(phrase) == 4
        return [make for make in self.makes if not is_year or self.lexicon.make(before) == make]

    def _models(self, phrase: str, make: str) -> tuple[str, ...]:
        """The make's models of that name; a longer name that the stock does not have gives way to a shorter one."""
        models = self.lexicon.models_of(phrase, make)
        if not models or self.lexicon.in_stock(phrase, make):
            return models
        shorter = [phrase.rsplit(" ", n)[0] for n in range(1, phrase.count(" ") + 1)]
        return () if any(self.lexicon.in_stock(name, make) for name in shorter) else models

    def _begins_with_an_article(self, words: list[_Word]) -> bool:
        """Whether a phrase begins with a small word that is no part of a name: ``it's max``, but ``s max``."""
        if len(words) < 2 or words[0].word not in ARTICLES or words[1].word in ("class", "klasse"):
            return False
        if not self.plain[words[0].end : words[1].start].isspace():
            return False
        if words[0].word in LETTERS_THAT_ARE_WORDS:
            return not self._is_name_by_its_place(words)
        is_year = words[1].word.isdecimal() and len(words[1].word) == 4
        if is_year and (self.makes or any(one.field == "model" for _, one in self.found)):
            return True  # "mercedes e 2008"
        return len(words[0].word) > 1 or self.plain[: words[0].start].endswith(("'", "’"))

    def _is_name_by_its_place(self, words: list[_Word]) -> bool:
        """Whether ``i pace``, ``i 30`` and ``a 4`` are names: an ``a`` only before a number and as the first word.

        What follows must not go with the number: ``a 3 series``.
        """
        behind = _WORD.match(self.plain[words[-1].end :].lstrip())
        goes_on = f"{words[-1].word} {behind[0]}" if behind else ""
        if goes_on and (self.lexicon.meaning(goes_on) or self.lexicon.makes_of_model(goes_on)):
            return False
        if words[0].word == "i":
            return True
        is_first = not self.plain[: words[0].start].strip() and words[1].word.isdecimal()
        return is_first and (self.lexicon.meaning(behind[0]) if behind else True) is not None

    def _meaning(self, phrase: str) -> Meaning | None:
        if phrase == "auto" and not self.is_german:
            return Meaning("gearbox", ("automatic",)) if len(self.plain.split()) > 1 else None
        return self.lexicon.meaning(phrase)

    def _leave_the_others(self) -> None:
        if not self.makes:
            for word in self._free_words():
                if owners := self.lexicon.makes_of_number(word.word):
                    self._put_number(word.start, word.end, owners)
        words = self._free_words()
        kept = [word for word in self._without_excluded(words) if word.word not in FILLERS | NEGATIONS]
        for at, word in enumerate(kept):
            if at and self._stands_or_between(kept[at - 1], word):
                self.rest.append((word.start - 1, "or"))
            self.rest.append((word.start, self.text[word.start : word.end]))

    def _without_excluded(self, words: list[_Word]) -> list[_Word]:
        """The words but those of equipment that is not wanted, which are left out: ``without sunroof``."""
        kept: list[_Word] = []
        at = 0
        while at < len(words):
            n = 0
            if _NEGATED.search(self.plain, 0, words[at].start):
                n = sum(1 for _ in itertools.takewhile(lambda word: word.word in EQUIPMENT, words[at:]))
            if n:
                self._leave(words[at].start, words[at + n - 1].end,
                            left_out(self.plain[words[at].start : words[at + n - 1].end]))  # fmt: skip
            else:
                kept.append(words[at])
            at += n or 1
        return kept

    def _stands_or_between(self, one: _Word, other: _Word) -> bool:
        return self.plain[one.end : other.start].strip() in ("or", "oder")


def pairs_of(meanings: Iterable[Meaning]) -> list[tuple[str, Any]]:
    return [(one.field, value) for one in meanings for value in one.values]


def left_out(phrase: str) -> str:
    """Words that the texts must not have, as a query of the web writes them."""
    words = _WORD.findall(plain_search(phrase))
    return f'-"{" ".join(words)}"' if len(words) > 1 else f"-{' '.join(words)}"


def _plain_number(value: float | str) -> float | int | str:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _each_once(understood: Iterable[Understood]) -> list[Understood]:
    return list({(one.field, one.value): one for one in reversed(list(understood))}.values())[::-1]

"""How to read a file, by an operator or a feed's profile; checked before the file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from catalog.exceptions import ImportRefused
from catalog.imports.listing_row import ROW_FIELDS
from catalog.imports.money import CURRENCIES
from catalog.imports.vocabulary import TEACHABLE

SOURCE, SELLERS = "source", "sellers"  # scope of a complete file
MOST_MISSING = 0.3  # share of the listings on offer; if more are missing, the export may be broken
MOST_MISSES = 1_000
ONE_OF = {  # options with few values: the values, and what is said of another
    "distance_unit": (("", "km", "mi"), "A distance unit is km or mi, not “{}”."),
    "complete": (("", SOURCE, SELLERS), "A file is complete for its source or its sellers, not for “{}”."),
    "missing": (("", "withdrawn", "sold"), "What is missing becomes withdrawn or sold, not “{}”."),
    "vat": (("", "net", "gross"), "Prices are net or gross, not “{}”."),
}


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How to read a file where it is ambiguous; "" decides by the file.

    ``columns`` maps headings to fields before anything else does. ``make`` and ``model`` are used where a row has none.
    ``key`` names the fields that identify cars in a file without ids (default: all of them).

    ``complete`` says that the file has every car of its source, or of each of the sellers it names; missing ones are
    then withdrawn, or what ``missing`` says, after ``misses`` such files in a row (0: after one). Where more than the
    share ``most_missing`` is missing, an operator decides.

    ``vat`` says whether prices are "net" or "gross", whatever the file says; ``seller`` is the key of the only seller
    of all its cars.

    ``words`` defines unknown words of the file: field -> word -> value, "" for a word without meaning; a make's value
    is the known make, and a model's word is ``make-slug/model-slug``. ``new_makes`` adds unknown makes and models to
    the catalogue, which otherwise wait for an operator.
    """

    source: str = ""
    mapping: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    make: str = ""
    model: str = ""
    currency: str = ""
    distance_unit: str = ""
    delimiter: str = ""
    encoding: str = ""
    key: tuple[str, ...] = ()
    complete: str = ""
    missing: str = ""
    misses: int = 0
    most_missing: float = MOST_MISSING
    vat: str = ""
    seller: int = 0
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    new_makes: bool = False
    is_dry_run: bool = False

    def __post_init__(self) -> None:
        if self.currency and self.currency not in CURRENCIES:
            raise ImportRefused(f"“{self.currency}” is not a currency code we know, such as GBP or EUR.")
        for name in self.key:
            if name not in ROW_FIELDS:
                raise ImportRefused(f"“{name}” is not a field of a listing; there are {', '.join(ROW_FIELDS)}.")
        for name, (known, message) in ONE_OF.items():
            if getattr(self, name) not in known:
                raise ImportRefused(message.format(getattr(self, name)))
        if not 0 <= self.misses <= MOST_MISSES:
            raise ImportRefused(f"A number of misses lies between 1 and {MOST_MISSES:,}, not “{self.misses}”.")
        if not 0 <= self.most_missing <= 1:
            raise ImportRefused(f"A share lies between 0 and 1, not at “{self.most_missing}”.")
        if len(self.source) > 80:
            raise ImportRefused("A source's name has at most 80 characters.")
        self._check_words()

    def _check_words(self) -> None:
        for name, words in self.words.items():
            if name not in TEACHABLE:
                raise ImportRefused(f"“{name}” has no words that could be taught; {', '.join(TEACHABLE)} have.")
            values = TEACHABLE[name]
            for word, value in words.items():
                if value and values and value not in values:
                    raise ImportRefused(f"“{word}” cannot mean “{value}”; {name} is one of {', '.join(values)}.")

    def with_word(self, name: str, word: str, value: str) -> Self:
        """Return the options with a further word. Raises ImportRefused for a value that its field cannot have."""
        return replace(self, words={**self.words, name: {**self.words.get(name, {}), word: value}})

    def with_column(self, heading: str, target: str) -> Self:
        """Return the options with a further column."""
        return replace(self, columns={**self.columns, heading: target})

    def given(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as JSON values."""
        plain = asdict(type(self)())
        return {
            name: value for name, value in asdict(self).items()
            if value != plain[name] and name not in ("source", "is_dry_run")
        }  # fmt: skip

    @classmethod
    def of_given(cls, given: Mapping[str, Any], *, source: str, is_dry_run: bool) -> Self:
        """Restore the options from ``given``."""
        asked = {**given, "key": tuple(given.get("key", ()))}
        return cls(**asked, source=source, is_dry_run=is_dry_run)

"""Values of a listing in the words that files use: ``Petrol``, ``FWD``, ``available``, ``37,442 miles``, ``€``."""

from typing import Any

from django.db.models import Choices
from django.utils.translation import gettext_lazy
from rest_framework import serializers

from catalog.api.fields import CountField
from catalog.imports import quantities
from catalog.imports.quantities import Unreadable
from catalog.imports.vocabulary import VOCABULARIES, status_of

LONGEST_WORD = 100


class WordField(serializers.ChoiceField):
    """One of a few values, by value, by label, or by any word that an import reads."""

    default_error_messages = {"unknown": gettext_lazy("“{word}” is unknown; known are {known}.")}

    def __init__(self, choices: type[Choices], vocabulary: str, **kwargs: Any) -> None:
        self._vocabulary = vocabulary
        super().__init__([pair for pair in choices.choices if pair[0] != "expired"], **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or len(data) > LONGEST_WORD:
            self.fail("unknown", word=str(data)[:LONGEST_WORD], known=", ".join(self.choices))
        value = data if data in self.choices else self._read(data)
        if value not in self.choices:
            self.fail("unknown", word=data, known=", ".join(self.choices))
        return str(value)

    def _read(self, word: str) -> str | None:
        if self._vocabulary == "status":
            return status_of(word)
        return VOCABULARIES[self._vocabulary].read(word)


class DistanceField(CountField):
    """Kilometres, as a number or as a text with a unit; a text without one is kilometres too."""

    default_error_messages = {"unreadable": gettext_lazy("“{text}” is no distance that we can read.")}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and len(data) <= LONGEST_WORD:
            try:
                data = quantities.read_distance_km(data)
            except Unreadable:
                self.fail("unreadable", text=data)
        return super().to_internal_value(data)


class CurrencyField(serializers.CharField):
    """A currency by code, sign or name."""

    default_error_messages = {"unknown": gettext_lazy("“{word}” is no currency that we know.")}

    def to_internal_value(self, data: Any) -> str:
        word = super().to_internal_value(data)
        if len(word) == 3 and word.isascii() and word.isalpha():
            return word.upper()
        if not (code := quantities.currency_in(word)):
            self.fail("unknown", word=word)
        return code

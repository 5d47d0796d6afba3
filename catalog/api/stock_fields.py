"""Values of a listing in the words that files use: ``Petrol``, ``FWD``, ``available``, ``37,442 miles``, ``€``."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Choices
from django.utils.translation import gettext_lazy
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import build_choice_field
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.api.fields import LONGEST_WORD, CountField
from catalog.attributes import Addresses
from catalog.imports import quantities
from catalog.imports.money import currency_in
from catalog.imports.numbers import Unreadable
from catalog.imports.vocabulary import VOCABULARIES, status_of
from catalog.web_addresses import check_address, check_number

READS_WORDS = "x-reads-words"  # of a choice, until the description of the whole API is made of its parts


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


class WordFieldSchema(OpenApiSerializerFieldExtension):
    """Describes the field above to OpenAPI."""

    target_class = "catalog.api.stock_fields.WordField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {**build_choice_field(self.target), READS_WORDS: True}


@extend_schema_field(
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, {"type": "string", "maxLength": LONGEST_WORD}]}
)
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


class WebAddressField(serializers.CharField):
    """The address of something that a browser opens."""

    def to_internal_value(self, data: Any) -> str:
        address = super().to_internal_value(data)
        if address:
            as_refused_by_api(check_address, address, self.max_length or len(address))
        return address


class WebAddressFieldSchema(OpenApiSerializerFieldExtension):
    """Describes the field above to OpenAPI."""

    target_class = "catalog.api.stock_fields.WebAddressField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "string", "format": "uri", "maxLength": self.target.max_length}


class WebAddressesField(serializers.ListField):
    """Several addresses, as the registry of attributes has them; the same one twice is one."""

    def __init__(self, addresses: Addresses, **kwargs: Any) -> None:
        self._addresses = addresses
        self.at_most = addresses.at_most
        child = WebAddressField(max_length=addresses.max_length)
        super().__init__(child=child, default=list, help_text=addresses.about, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        found = list(dict.fromkeys(super().to_internal_value(data)))
        as_refused_by_api(check_number, self._addresses, found)
        return found


class WebAddressesFieldSchema(OpenApiSerializerFieldExtension):
    """Describes the field above to OpenAPI."""

    target_class = "catalog.api.stock_fields.WebAddressesField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        item = {"type": "string", "format": "uri", "maxLength": self.target.child.max_length}
        return {"type": "array", "items": item, "maxItems": self.target.at_most}


def as_refused_by_api(check: Callable[..., None], *args: Any) -> None:
    """Run a check of Django's; what it refuses is a refusal of REST framework's."""
    try:
        check(*args)
    except DjangoValidationError as refusal:
        raise serializers.ValidationError(refusal.messages) from None


class CurrencyField(serializers.CharField):
    """A currency by code, sign or name."""

    default_error_messages = {"unknown": gettext_lazy("“{word}” is no currency that we know.")}

    def to_internal_value(self, data: Any) -> str:
        word = super().to_internal_value(data)
        if len(word) == 3 and word.isascii() and word.isalpha():
            return word.upper()
        if not (code := currency_in(word)):
            self.fail("unknown", word=word)
        return code

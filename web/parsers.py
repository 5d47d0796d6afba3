"""Reading a JSON body without trusting it: its size, its encoding, its depth, its letters."""

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

# PostgreSQL keeps neither NUL nor half a surrogate pair; most bodies carry no such escape, so most are not searched
SUSPECT_ESCAPE = re.compile(rb"\\u(0000|[dD][89a-fA-F])")


class PayloadTooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self) -> None:
        super().__init__(f"The body is larger than {settings.MAX_BODY_MB} MB.")


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


class JSONParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no Infinity; what the database could not keep is refused here."""

    media_type = "application/json"
    renderer_class = JSONRenderer
    parse_constant: Callable[[str], Any] = staticmethod(refuse_constant)

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        body = _read(stream)
        try:
            data = json.loads(body.decode(), parse_constant=self.parse_constant)
            if SUSPECT_ESCAPE.search(body):
                _refuse_unstorable_text(data)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors too
            raise ParseError(f"The body is not valid JSON: {error}") from None
        return data


class LenientJSONParser(JSONParser):
    """The same, with NaN and Infinity as numpy writes them: one bad number need not cost the other answers."""

    parse_constant = float


def _read(stream: IO[bytes]) -> bytes:
    """The whole body, or PayloadTooLarge; a byte more than allowed is enough to know."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise PayloadTooLarge
    return body


def _refuse_unstorable_text(data: Any) -> None:
    for text in _texts_in(data):
        if "\0" in text:
            raise ValueError("text must not hold NUL characters")
        text.encode()  # raises for half a surrogate pair


def _texts_in(data: Any) -> Iterator[str]:
    """Every string of a parsed body, keys included."""
    unseen = [data]
    while unseen:
        item = unseen.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            unseen += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            unseen += item

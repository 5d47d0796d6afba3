"""Reading a JSON body without trusting it: its size, its encoding, its depth, its letters."""

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

# PostgreSQL keeps neither NUL nor half a surrogate pair; most bodies carry no such escape, so most are not searched
SUSPECT_ESCAPE = re.compile(rb"\\u(0000|[dD][89a-fA-F])")

SYNTAX = (  # what Python's parser finds wrong, in its words
    gettext_noop("Expecting value"),
    gettext_noop("Expecting property name enclosed in double quotes"),
    gettext_noop("Expecting ':' delimiter"),
    gettext_noop("Expecting ',' delimiter"),
    gettext_noop("Illegal trailing comma before end of object"),
    gettext_noop("Illegal trailing comma before end of array"),
    gettext_noop("Unterminated string starting at"),
    gettext_noop("Invalid control character at"),
    gettext_noop("Invalid \\escape"),
    gettext_noop("Invalid \\uXXXX escape"),
    gettext_noop("Unexpected UTF-8 BOM (decode using utf-8-sig)"),
    gettext_noop("Extra data"),
)


class PayloadTooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self) -> None:
        super().__init__(_("The body is larger than %(size)s MB.") % {"size": settings.MAX_BODY_MB})


class UnstorableText(ValueError):
    """A part of a body that JSON or the database has no place for; the message says what."""


def refuse_constant(name: str) -> None:
    raise UnstorableText(_("%(name)s is not a JSON number") % {"name": name})


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
            raise ParseError(_("The body is nested too deeply.")) from None
        except ValueError as error:
            raise ParseError(_("The body is not valid JSON: %(problem)s") % {"problem": _problem_in(error)}) from None
        return data


class LenientJSONParser(JSONParser):
    """The same, with NaN and Infinity as numpy writes them: one bad number need not cost the other answers."""

    parse_constant = float


class PlainTextJSONParser(JSONParser):
    """JSON that is called plain text, as a browser does that sends it while its page is left."""

    media_type = "text/plain"


def _read(stream: IO[bytes]) -> bytes:
    """The whole body, or PayloadTooLarge; a byte more than allowed is enough to know."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise PayloadTooLarge
    return body


def _problem_in(error: ValueError) -> str:
    """Why a body could not be read, for people."""
    match error:
        case UnstorableText():
            return str(error)
        case json.JSONDecodeError():
            return _("%(problem)s: line %(line)s column %(column)s (char %(position)s)") % {
                "problem": _(error.msg) if error.msg in SYNTAX else error.msg,
                "line": error.lineno,
                "column": error.colno,
                "position": error.pos,
            }
        case UnicodeDecodeError():
            return _("the text is not utf-8 from byte %(position)s on") % {"position": error.start}
        case UnicodeEncodeError():
            return _("text must not hold lone surrogates")
    return _("a number has too many digits")  # Python bounds what it reads


def _refuse_unstorable_text(data: Any) -> None:
    for text in _texts_in(data):
        if "\0" in text:
            raise UnstorableText(_("text must not hold NUL characters"))
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

"""Reads what templates mark for translation, for ``make messages``: Babel itself knows Python alone."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from typing import IO, Any

from babel.messages.extract import extract_python
from django.utils.translation.template import templatize

Message = tuple[int, Any, list[str], str | None]


def extract(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Collection[str], options: Mapping[str, str]
) -> Iterator[Message]:
    """An extraction method of Babel's: line, function, arguments and comments of every marked text.

    Django rewrites the template as calls of gettext among X's. In brackets, those lines need no indentation of Python.
    No option of Babel's Python is taken.
    """
    source = templatize(file.read().decode(), origin=getattr(file, "name", ""))
    yield from extract_python(io.BytesIO(f"({source}\n)".encode()), keywords, comment_tags, {})

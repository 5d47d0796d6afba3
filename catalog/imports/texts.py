"""Clean texts of cells: remove mark-up, entities and control characters, and cut them to the column's length."""

from __future__ import annotations

import html
import re

from catalog.imports.numbers import plain_spaces

_TAG = re.compile(r"<(?:/?[a-z][^<>]{0,2000}|!--.*?--)>", re.IGNORECASE | re.DOTALL)
_KNOWN_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|br|center|div|em|font|h[1-6]|head|hr|html|i|iframe|img|li|link|meta|object|ol|p|pre|"
    r"script|small|span|strong|style|sub|sup|svg|table|tbody|td|th|thead|title|tr|u|ul)\b[^<>]{0,2000}>",
    re.IGNORECASE,
)
_NOT_TEXT = re.compile(r"<(script|style|head|iframe|object|svg)\b[^>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_LINE_END = re.compile(r"<\s*(?:br|/?p|/?li|/?div|/?tr|/?h[1-6]|/?ul|/?ol|hr)\b[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
MOST_ESCAPES = 3  # times that a text may have been escaped: "&amp;amp;"
_WRITTEN_LINE_END = re.compile(r"(?:\\r)?\\n(?![a-z])")  # what exports write for a line's end; "C:\new" has none
_SIGNS_OF_A_FORMULA = ("=", "+", "-", "@")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


class Shortened(str):
    """A text that was cut to the column's length."""

    __slots__ = ()


def clean_text(text: str) -> str:
    """Remove control characters, mark-up and entities; normalise spaces within each line."""
    text = _CONTROL.sub("", text)
    if text[:1] == "'" and text[1:2] in _SIGNS_OF_A_FORMULA:
        text = text[1:]  # what exports, ours among them, put before a text that a spreadsheet would calculate
    if "<" in text:
        text = _without_markup(_CDATA.sub(r"\1", text), _TAG)
    for _ in range(MOST_ESCAPES):
        if "&" not in text:
            break
        text = _CONTROL.sub("", html.unescape(text))
        if "<" in text:  # mark-up that was escaped; "<3yr>" is not, so only tags of HTML go
            text = _without_markup(text, _KNOWN_TAG)
        if not _ENTITY.search(text):
            break
    if "\\" in text:
        text = _WRITTEN_LINE_END.sub("\n", text)
    lines = (" ".join(plain_spaces(line).split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _without_markup(text: str, tag: re.Pattern[str]) -> str:
    return tag.sub("", _LINE_END.sub("\n", _NOT_TEXT.sub(" ", text)))


def read_text(length: int, text: str) -> str:
    cleaned = clean_text(text)
    return cleaned if len(cleaned) <= length else Shortened(cleaned[:length].rstrip())


def read_line(length: int, text: str) -> str:
    cleaned = clean_text(text).replace("\n", " ")
    return cleaned if len(cleaned) <= length else Shortened(cleaned[:length].rstrip())

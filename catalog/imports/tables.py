"""Open a file of cars in any format: by its first bytes rather than its name; no database."""

from __future__ import annotations

import codecs
import re
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from catalog.exceptions import FileRefused
from catalog.imports import dialects
from catalog.imports.dialects import KnowsHeadings, RowFile, open_rows
from catalog.imports.structured import RecordFile, open_records, seekable
from catalog.imports.workbooks import open_workbook

HEAD_BYTES = 4096
Table = RowFile | RecordFile

_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_WEB_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body|table)\b", re.IGNORECASE)
_WORKBOOK_IN_XML = b"urn:schemas-microsoft-com:office:spreadsheet"
_ELEMENT = re.compile(rb"<(?:\?xml|!--|!doctype|[a-z_][\w:.-]*[\s>/])", re.IGNORECASE)
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}


def open_table(path: Path, knows: KnowsHeadings, *, delimiter: str = "", encoding: str = "") -> Table:
    """Open a text table, JSON, XML or a workbook, also compressed, and find its header.

    Raises:
        FileRefused: It is missing, unreadable, empty, or of another format, which the message names.
        HeaderRefused: It has no headings or paths that name at least two fields.
    """
    with ExitStack() as stack:
        raw = stack.enter_context(dialects.opened(path))
        head = raw.read(HEAD_BYTES)
        compression = next((name for magic, name in _PACKED.items() if head.startswith(magic)), "")
        if head.startswith(_OLD_WORKBOOK) or (compression == "zip" and _is_workbook(raw)):
            return open_workbook(path, raw, knows, stack)
        if compression:
            head = _head_inside(raw, compression, path)
        if _WORKBOOK_IN_XML in head:
            raise FileRefused(f"{path.name} is an Excel workbook of 2003 in XML; save it as xlsx or CSV first.")
        if kind := _kind_of(head):
            content = raw
            if compression:
                content = seekable(stack.enter_context(dialects.unpacked(raw, compression, path)), stack)
            content = _as_utf8(content, head, kind, stack)
            return open_records(path, content, kind, knows, stack, compression=compression)
    return open_rows(path, knows, delimiter=delimiter, encoding=encoding)


def _is_workbook(raw: IO[bytes]) -> bool:
    try:
        names = zipfile.ZipFile(raw).namelist()
    except zipfile.BadZipFile:
        return False
    return any(name.startswith(("xl/", "content.xml")) for name in names)


def _head_inside(raw: IO[bytes], compression: str, path: Path) -> bytes:
    """Return the first bytes of the unpacked content; b"" where it cannot be unpacked, which ``open_rows`` reports."""
    try:
        return dialects.unpacked(raw, compression, path).read(HEAD_BYTES)
    except dialects.TRUNCATED:
        return b""


def _kind_of(head: bytes) -> str:
    """Return ``json``, ``xml``, or "" for a text table or an unknown format."""
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n").replace(b"\x00", b"")
    if _WEB_PAGE.match(start):
        return ""
    if _ELEMENT.match(start):
        return "" if b"<html" in start[:1024].lower() else "xml"
    return "json" if re.match(rb"\{\s*(?:\"|\})|\[\s*(?:\{|\]|\[)", start) else ""


def _as_utf8(content: IO[bytes], head: bytes, kind: str, stack: ExitStack) -> IO[bytes]:
    """Convert JSON to UTF-8 without a mark, as its parser needs; XML names its encoding itself."""
    codec, errors, _ = dialects.encoding_of(head, "", Path())
    if kind == "xml" or (codec == "utf-8" and _is_utf8(content)):
        content.seek(0)
        return content
    copy = seekable(_Recoded(content, codec, errors), stack)
    copy.seek(0)
    return copy


def _is_utf8(content: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    content.seek(0)
    try:
        while block := content.read(1024 * 1024):
            decoder.decode(block)
    except UnicodeDecodeError:
        return False
    return True


class _Recoded:
    """A stream of bytes in one encoding, read in UTF-8."""

    def __init__(self, content: IO[bytes], codec: str, errors: str) -> None:
        content.seek(0)
        self._content, self._decoder = content, codecs.getincrementaldecoder(codec)(errors)

    def read(self, n_bytes: int) -> bytes:
        text, block = "", b"-"
        while block and not text:  # a block may end within its only letter
            block = self._content.read(n_bytes)
            text = self._decoder.decode(block, final=not block)
        return text.encode("utf-8", "replace")

"""Open a text table in any dialect: compression, encoding, separator, quotes and header row; no database.

``open_rows`` decides by the beginning of the file, and then streams: only one record is in memory at a time. Common
faults are repaired here or passed on as a broken record, so that one bad line costs one row.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol, Self

from catalog.exceptions import FileRefused, HeaderRefused
from catalog.imports import twice
from catalog.imports.heading_groups import with_groups
from catalog.imports.letters import guess_encoding
from catalog.imports.records import MAX_LINE_CHARACTERS, Dialect, Lines, Records

SAMPLE_BYTES = 256 * 1024
SAMPLE_BLOCK_BYTES = 1024
SAMPLE_RECORDS = 100
HEADER_WITHIN_RECORDS = 40  # titles and notes above the header
MIN_FIELDS = 2  # fields that a header names at least
DELIMITERS = (",", ";", "\t", "|", "^")
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
MAX_CONTROL_SHARE = 0.05  # share of control characters above which a file is not text

_BOMS = (  # UTF-32 before UTF-16, whose little-endian mark is a prefix of UTF-32's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TABLES = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV first"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file; export it as CSV first"),
    (b"SQLite format 3", "an SQLite database; export a table as CSV first"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it first"),
    (b"{\\rtf", "a word processor's document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
)
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".heic", ".tif", ".tiff", ".bmp")
TRUNCATED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, OSError, zipfile.BadZipFile)


def _windows_bytes(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that are not UTF-8 as Windows-1252, so that mixed files keep both kinds of umlaut."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte)) for byte in bad), error.end


codecs.register_error("forecourt.windows", _windows_bytes)


class KnowsHeadings(Protocol):
    @property
    def is_by_position(self) -> bool:
        """Whether columns are named by their position (``#1``), because the file has no header."""

    def score(self, headings: Sequence[str]) -> int:
        """Count the different fields that a row of cells would name as a header."""

    def hints(self, headings: Sequence[str], sample: Sequence[Sequence[str]] = ()) -> list[str]:
        """Suggest meanings for headings that were not recognised, by their words and by the values below them."""


@dataclass(frozen=True)
class Record:
    """One record after the header; ``number`` 1 is the first. ``broken`` is the reason why there are no cells."""

    number: int
    cells: list[str]
    broken: str = ""


@dataclass
class RowFile:
    """An open text table, iterated once. ``position`` out of ``size`` bytes have been read."""

    path: Path
    dialect: Dialect
    headings: list[str]
    sample: list[list[str]]  # the first records after the header, for guessing units
    size: int
    _raw: IO[bytes] = field(repr=False)
    _lines: Lines = field(repr=False)
    _stack: ExitStack = field(repr=False)

    @property
    def position(self) -> int:
        return self._raw.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Record]:
        """Yield the records after the header. Raises FileRefused when the file ends too early (a truncated archive)."""
        number = 0
        records = Records(self._lines, self.dialect, len(self.headings), self.sample)
        try:
            for cells, broken in records:
                if not cells and not broken:
                    continue  # a line with nothing at all on it is no row
                number += 1
                yield Record(number, cells, broken)
        except TRUNCATED as error:
            raise FileRefused(f"{self.path.name} breaks off after row {number}: {error}") from error


def open_rows(path: Path, knows: KnowsHeadings, *, delimiter: str = "", encoding: str = "") -> RowFile:
    """Open a file and find its dialect and header.

    Raises:
        FileRefused: It is missing, unreadable, empty, or not a text table.
        HeaderRefused: No row near its beginning names at least two fields.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_CHARACTERS))
    delimiter = DELIMITER_NAMES.get(delimiter.casefold(), delimiter)
    if len(delimiter) > 1:
        raise FileRefused(f"A delimiter is one character, not “{delimiter}”.")
    with ExitStack() as stack:
        raw = stack.enter_context(opened(path))
        compression = _compression(raw, path)
        head = _head(raw, compression, path)
        codec, errors, label = encoding_of(head, encoding, path)
        text = _decoded_head(head, codec, errors)
        _refuse_binary(text, path)
        dialect, headings, sample = _sniff(text, knows, path, label, compression, delimiter)
        stream = io.TextIOWrapper(
            stack.enter_context(unpacked(raw, compression, path)), encoding=codec, errors=errors, newline=""
        )
        lines = Lines(stack.enter_context(stream))
        lines.is_wrapped = dialect.is_wrapped
        lines.skip(dialect.n_lines_above)
        if not knows.is_by_position:
            next(iter(dialect.reader(lines)))
        lines.taken.clear()
        return RowFile(path, dialect, headings, sample, path.stat().st_size, raw, lines, stack.pop_all())


# --- Bytes -----------------------------------------------------------------------------------------------------------
def opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise FileRefused(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise FileRefused(f"{path} is a directory, not a file.") from None
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}.") from None


def _compression(raw: IO[bytes], path: Path) -> str:
    """Detect compression by the file's first bytes rather than its name."""
    start = raw.read(16)
    raw.seek(0)
    if not start:
        raise FileRefused(f"{path.name} is empty.")
    for magic, what in _NOT_TABLES:
        if start.startswith(magic):
            raise FileRefused(f"{path.name} is {what}.")
    for magic, name in ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"PK\x03\x04", "zip")):
        if start.startswith(magic):
            return name
    return ""


def unpacked(raw: IO[bytes], compression: str, path: Path) -> IO[bytes]:
    raw.seek(0)
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if compression == "bzip2":
        return bz2.BZ2File(raw)
    if compression == "xz":
        return lzma.LZMAFile(raw)
    if compression == "zip":
        return _only_member(raw, path)
    return raw


_ABOUT_THE_FILE = re.compile(
    r"(?:^|/)(?:\.|thumbs\.db|(?:readme|read_me|licen[sc]e|liesmich|changelog|about|terms)\b)"
    r"|\.(?:md|pdf|html?|docx?|nfo|md5|sha\d*)$",
    re.IGNORECASE,
)


def _only_member(raw: IO[bytes], path: Path) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(raw)
    except zipfile.BadZipFile as error:
        raise FileRefused(f"{path.name} is a damaged zip archive: {error}.") from None
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    names = [name for name in names if not name.casefold().endswith(PICTURES)] or names
    if len(names) > 1:
        names = [name for name in names if not _ABOUT_THE_FILE.search(name)] or names
    if any(name.startswith(("xl/", "word/", "content.xml")) for name in names):
        raise FileRefused(f"{path.name} is an office document, not a text table; save it as CSV first.")
    if len(names) != 1:
        raise FileRefused(f"{path.name} holds {len(names)} files; unpack it and name the one to import.")
    return archive.open(names[0])


def _head(raw: IO[bytes], compression: str, path: Path) -> bytes:
    """Return the first bytes of the content. A truncated archive returns what it has; reading the rest fails later."""
    blocks: list[bytes] = []
    try:
        source = unpacked(raw, compression, path)
        while sum(map(len, blocks)) < SAMPLE_BYTES and (block := source.read(SAMPLE_BLOCK_BYTES)):
            blocks.append(block)
    except TRUNCATED as error:
        if not blocks:
            raise FileRefused(f"{path.name} cannot be unpacked: {error}.") from None
    head = b"".join(blocks)
    if not head.strip(b"\x00\r\n\t \xef\xbb\xbf\xff\xfe"):
        raise FileRefused(f"{path.name} is empty.")
    return head


def encoding_of(head: bytes, asked: str, path: Path) -> tuple[str, str, str]:
    """Return the codec, the error handler, and a name to show."""
    if asked:
        try:
            name = codecs.lookup(asked).name
        except LookupError:
            raise FileRefused(f"There is no encoding “{asked}”.") from None
        return ("utf-8-sig" if name == "utf-8" else name), "replace", name
    if twice.is_encoded_twice(head.decode("utf-8", "ignore")):
        return twice.NAME, "forecourt.windows", "utf-8 of utf-8"
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return codec, "replace" if codec != "utf-8-sig" else "forecourt.windows", codec.removesuffix("-sig")
    if codec := _unmarked_utf16(head):
        return codec, "replace", codec
    if (codec := _unmarked_codec(head)) != "cp1252":
        return codec, "forecourt.windows" if codec == "utf-8" else "replace", codec
    return "utf-8", "forecourt.windows", "windows-1252"


def _unmarked_codec(head: bytes) -> str:
    """Return UTF-8 unless more bytes contradict it than confirm it; then guess by the letters."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    n_bad = text.count("\ufffd")
    n_good = sum(1 for letter in text if letter > "\x7f") - n_bad
    return "utf-8" if n_bad <= n_good else guess_encoding(head)


def _unmarked_utf16(head: bytes) -> str:
    """Detect UTF-16 by the zero in every other byte of western text; stray NUL bytes are far rarer."""
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    half = len(head[:4096]) // 2
    if half and odd > 0.7 * half > 7 * even:
        return "utf-16-le"
    if half and even > 0.7 * half > 7 * odd:
        return "utf-16-be"
    return ""


def _decoded_head(head: bytes, codec: str, errors: str) -> str:
    decoder = codecs.getincrementaldecoder(codec)(errors)
    return decoder.decode(head, final=len(head) < SAMPLE_BYTES)


def _refuse_binary(text: str, path: Path) -> None:
    control = sum(1 for letter in text if letter < " " and letter not in "\t\r\n\x00\x0b\x0c\x1a")
    if control > MAX_CONTROL_SHARE * len(text) or text.count("\x00") > 0.3 * len(text):
        raise FileRefused(f"{path.name} is not a text file.")


# --- Separator, quotes, header ---------------------------------------------------------------------------------------
def _sniff(
    text: str, knows: KnowsHeadings, path: Path, encoding: str, compression: str, delimiter: str
) -> tuple[Dialect, list[str], list[list[str]]]:
    """Choose the separator under which a header names the most fields; among equals, the one with the most equal row
    lengths."""
    text = text.replace("\x00", "")
    lines = io.StringIO(text, newline="").readlines()
    if len(text) >= SAMPLE_BYTES // 4 and len(lines) > 1:
        lines = lines[:-1]  # the sample ends in the middle of it
    n_above, declared = _separator_line(lines)
    candidates = [delimiter] if delimiter else [declared] if declared else list(DELIMITERS)
    for is_wrapped in (False, True) if _looks_wrapped(lines) else (False,):
        best = max(
            (
                _best_header(
                    lines,
                    Dialect(encoding, mark, compression, *_quoting(text, lines, mark), n_above, is_wrapped),
                    knows,
                )
                for mark in candidates
            ),
            key=lambda found: found.score,
        )
        if best.score[0] >= MIN_FIELDS:
            return best.dialect, best.headings, best.sample
    raise HeaderRefused(no_header(path, best.headings, knows, best.sample))


def _looks_wrapped(lines: list[str]) -> bool:
    wrapped = sum(line.startswith('"') and line.rstrip("\r\n").endswith('"') for line in lines[:50])
    return wrapped >= 0.9 * len(lines[:50])


def _quoting(text: str, lines: list[str], delimiter: str) -> tuple[str, str | None]:
    return _quotechar(lines, delimiter), _escapechar(text)


def _separator_line(lines: list[str]) -> tuple[int, str]:
    """Find Excel's ``sep=;`` above the header; returns the lines to skip and the separator."""
    first = lines[0].strip().strip('"') if lines else ""
    if first.casefold().startswith("sep=") and len(first) <= 5:
        return 1, first[4:] or "\t"
    return 0, ""


def _quotechar(lines: list[str], delimiter: str) -> str:
    """Return single quotes only where cells are clearly wrapped in them."""
    wrapped = sum(line.lstrip().startswith("'") and f"'{delimiter}'" in line for line in lines[:20])
    return "'" if wrapped > min(len(lines), 20) // 2 else '"'


def _escapechar(text: str) -> str | None:
    r"""Detect the ``\"`` that databases write within quotes; otherwise a backslash has no meaning."""
    return "\\" if '\\"' in text and not any(f'\\"{mark}' in text for mark in (*DELIMITERS, "\n", "\r")) else None


@dataclass(frozen=True)
class _Header:
    """The most likely header under one dialect; ``score``: number of fields, share of rows of its length, number of
    cells."""

    score: tuple[int, float, int]
    dialect: Dialect
    headings: list[str]
    sample: list[list[str]]


def _best_header(lines: list[str], dialect: Dialect, knows: KnowsHeadings) -> _Header:
    source = Lines(io.StringIO("".join(lines[dialect.n_lines_above :]), newline=""))
    source.is_wrapped = dialect.is_wrapped
    records: list[tuple[int, list[str]]] = []  # (lines above it, cells)
    n_lines = dialect.n_lines_above
    for cells, _ in Records(source, dialect, 0, []):
        records.append((n_lines, cells))
        n_lines = dialect.n_lines_above + source.n_read - len(source.pending)
        if len(records) >= SAMPLE_RECORDS:
            break
    if knows.is_by_position:
        return _without_header([cells for _, cells in records if cells], dialect, knows)
    scores = [knows.score(cells) for _, cells in records[:HEADER_WITHIN_RECORDS]]
    if not scores:
        return _Header((0, 0.0, 0), dialect, [], [])
    header_at = scores.index(max(scores))
    n_above, headings = records[header_at]
    if header_at:
        headings = with_groups(records[header_at - 1][1], headings, knows.score)
    sample = [cells for _, cells in records[header_at + 1 :] if cells]
    headings = without_empty_end(headings, sample)
    agreeing = sum(len(cells) == len(headings) for cells in sample) / (len(sample) or 1)
    return _Header((max(scores), agreeing, len(headings)), replace(dialect, n_lines_above=n_above), headings, sample)


def _without_header(sample: list[list[str]], dialect: Dialect, knows: KnowsHeadings) -> _Header:
    """Name the columns ``#1``, ``#2`` and so on, as many as most records have."""
    n_columns = Counter(map(len, sample)).most_common(1)[0][0] if sample else 0
    agreeing = sum(len(cells) == n_columns for cells in sample) / (len(sample) or 1)
    headings = numbered(n_columns)
    return _Header((knows.score(headings), agreeing, n_columns), dialect, headings, sample)


def numbered(n_columns: int) -> list[str]:
    return [f"#{number}" for number in range(1, n_columns + 1)]


def without_empty_end(headings: list[str], sample: list[list[str]]) -> list[str]:
    """Drop columns at the end without a heading that no row of the sample fills: separators at the ends of lines."""
    n_columns = len(headings)
    while n_columns and not headings[n_columns - 1].strip():
        if any(len(cells) >= n_columns and cells[n_columns - 1].strip() for cells in sample):
            break
        n_columns -= 1
    return headings[:n_columns]


def no_header(path: Path, headings: list[str], knows: KnowsHeadings, sample: Sequence[Sequence[str]] = ()) -> str:
    seen = ", ".join(heading.strip() for heading in headings[:12] if heading.strip())
    hints = knows.hints(headings, sample)
    return (
        f"No header was recognised in {path.name}. Its first row reads: {seen[:300] or 'nothing'}. "
        + (f"{'; '.join(hints)}. " if hints else "")
        + 'Name the columns with --map "COLUMN=FIELD", for example --map "Preis=price", or say --delimiter.'
    )

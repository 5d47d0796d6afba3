"""Read files of records as rows under headings: JSON, JSON lines and JSON-LD, and XML.

A record may be nested: its paths become headings (``mileage.value``, ``image[0].url``), which ``headings`` understands.
Files are parsed twice, for the headings and for the rows, so that only one record is in memory.
"""

from __future__ import annotations

import datetime
import io
import re
import tempfile
import xml.etree.ElementTree as ElementTree  # for the type only: parsing is defusedxml's
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol, Self

import ijson
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from catalog.exceptions import FileRefused, HeaderRefused
from catalog.imports.adf import PROSPECT, leave_car
from catalog.imports.dialects import (
    MIN_FIELDS,
    SAMPLE_RECORDS,
    KnowsHeadings,
    Record,
    no_header,
)
from catalog.imports.named_values import named_entries, named_twins, names_itself

EVENTS_LOOKED_AT = 50_000  # of the beginning of a file, to find which of its elements is a car
MAX_HEADINGS = 2_000
MAX_REPEATS = 12  # of one element within a record, such as photos
ENTRIES = ("channel/item", "feed/entry", "offers/offer")  # of RSS, Atom and YML, each a car even if it is the only one
PRICES_OF_THE_TRADE = frozenset(["dealer", "trade", "purchase", "msrp", "invoice", "cost", "net", "new", "handel"])
ORDERS = (  # of the entries of a list
    "order", "position", "sequence", "seq", "sort", "sortorder", "rank", "nr", "no", "number", "index", "reihenfolge",
    "ordre", "orden", "ordine", "volgorde", "kolejnosc", "poradi",
)  # fmt: skip
KEY = "id"  # field of the key of a car in an object, where the car has no id itself
FEWEST_BY_KEYS = 2
SKIPPED_KEYS = ("@context", "@type", "@id")
_NO_CAR_OF_SCHEMA = re.compile(  # things that stand beside the cars of a graph
    r"(?:organization|dealer|business|store|website|page|breadcrumblist|person|place|imageobject|action|review|article)$",
    re.IGNORECASE,
)
_JSON_ERRORS = (ijson.JSONError, UnicodeDecodeError)
_XML_ERRORS = (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError)

Flat = dict[str, str]


@dataclass(frozen=True)
class Written:
    """How such a file is written; the counterpart of ``dialects.Dialect``."""

    kind: str
    where: str = ""  # path of the records, or name of the sheet
    compression: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","  # between the cells of a row that is shown as a whole

    def describe(self) -> dict[str, str]:
        """Return it for people, and for the log of a run."""
        return {
            "format": self.kind,
            "encoding": self.encoding,
            "delimiter": self.where or "record",
            **({"compression": self.compression} if self.compression else {}),
        }


@dataclass
class RecordFile:
    """An open file of records, iterated once. The counterpart of ``dialects.RowFile``."""

    path: Path
    dialect: Written
    headings: list[str]
    sample: list[list[str]]
    size: int
    _rows: Callable[[], Iterator[list[str]]] = field(repr=False)
    _progress: Callable[[], float] = field(repr=False)  # 0 to 1
    _stack: ExitStack = field(repr=False)

    @property
    def position(self) -> int:
        return round(self.size * min(self._progress(), 1.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Record]:
        """Yield the records. Raises FileRefused when the file ends too early."""
        number = 0
        try:
            for cells in self._rows():
                if any(cells):
                    number += 1
                    yield Record(number, cells)
        except (*_JSON_ERRORS, *_XML_ERRORS) as error:
            raise FileRefused(f"{self.path.name} breaks off after row {number}: {error}") from error


def open_records(
    path: Path, content: IO[bytes], kind: str, knows: KnowsHeadings, stack: ExitStack, *, compression: str = ""
) -> RecordFile:
    """Find the cars of an unpacked, seekable file of ``kind`` (json or xml).

    Raises:
        FileRefused: It is invalid.
        HeaderRefused: Nothing in it has at least two known fields.
    """
    size = content.seek(0, io.SEEK_END)
    reader: _Json | _Xml = _Json(content) if kind == "json" else _Xml(content)
    try:
        where, score = reader.find(knows)
        headings, sample = _headings_of(reader.records(where))
    except (*_JSON_ERRORS, *_XML_ERRORS) as error:
        raise FileRefused(f"{path.name} cannot be read as {kind.upper()}: {error}.") from None
    if max(score, knows.score(headings)) < MIN_FIELDS:
        cells = [[record.get(heading, "") for heading in headings] for record in sample]
        raise HeaderRefused(no_header(path, headings, knows, cells))
    return RecordFile(
        path,
        Written(kind, where, compression),
        headings,
        [_cells(record, headings) for record in sample],
        path.stat().st_size,
        lambda: (_cells(record, headings) for record in reader.records(where)),
        lambda: content.tell() / (size or 1),
        stack.pop_all(),
    )


def _headings_of(records: Iterator[Flat]) -> tuple[list[str], list[Flat]]:
    """Return every path of the records, in the order of their first appearance, and the first records."""
    headings: dict[str, None] = {}
    sample: list[Flat] = []
    for record in records:
        if len(sample) < SAMPLE_RECORDS:
            sample.append(record)
        if len(headings) < MAX_HEADINGS:
            headings.update(dict.fromkeys(record))
    return list(headings)[:MAX_HEADINGS], sample


def _cells(record: Flat, headings: Sequence[str]) -> list[str]:
    return [record.get(heading, "") for heading in headings]


@dataclass
class _RecordPath:
    """An element that may be a car: the paths of its values."""

    leaves: dict[str, None] = field(default_factory=dict)
    n_seen: int = 0


def _best_path(candidates: dict[str, _RecordPath], knows: KnowsHeadings) -> tuple[str, int]:
    """Return the element that names the most fields; of equals the outermost, since inner ones lose the values
    around them."""
    candidates = _without_entries(candidates, knows)
    if not candidates:
        return "", 0
    scores = {path: knows.score(list(candidate.leaves)) for path, candidate in candidates.items()}
    best = max(candidates, key=lambda path: (scores[path], -len(path)))
    return best, scores[best]


def _without_entries(candidates: dict[str, _RecordPath], knows: KnowsHeadings) -> dict[str, _RecordPath]:
    """Without what stands in a list within a car, as one of its values that name themselves."""
    around = [path for path, candidate in candidates.items() if knows.score(list(candidate.leaves))]
    return {
        path: candidate
        for path, candidate in candidates.items()
        if not names_itself(candidate.leaves) or not any(path != each and path.startswith(each) for each in around)
    }


# --- JSON ------------------------------------------------------------------------------------------------------------
class _Json:
    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._is_by_keys = self._names_cars = False

    def find(self, knows: KnowsHeadings) -> tuple[str, int]:
        """Return the prefix of the objects that are cars, and the number of fields they name."""
        candidates: dict[str, _RecordPath] = {}
        self._content.seek(0)
        events = ijson.parse(self._content, multiple_values=True, use_float=False)
        for prefix, event, value in islice(events, EVENTS_LOOKED_AT):
            if event == "start_map" and len(candidates) < MAX_HEADINGS:
                candidates.setdefault(prefix, _RecordPath()).n_seen += 1
            elif value is not None and event in ("string", "number", "boolean"):
                self._note(candidates, prefix)
        where, score = _best_path(candidates, knows)
        if where in candidates and candidates[where].n_seen == 1:
            return self._find_by_keys(candidates, where, score, knows)
        return where, score

    def _find_by_keys(
        self, candidates: dict[str, _RecordPath], where: str, score: int, knows: KnowsHeadings
    ) -> tuple[str, int]:
        """Find the cars of ``{"A1": {…}, "A2": {…}}``, one object whose values are cars; else return the arguments."""
        by_parent: dict[str, list[list[str]]] = {}
        for path, candidate in candidates.items():
            if path.startswith(where) and path != where:
                by_parent.setdefault(path.rpartition(".")[0], []).append(list(candidate.leaves))
        for parent, cars in by_parent.items():
            named = knows.score(cars[0])
            if len(cars) < FEWEST_BY_KEYS or named < max(MIN_FIELDS, score - 1) or not all(map(_alike(cars[0]), cars)):
                continue
            self._is_by_keys, self._names_cars = True, knows.score([*cars[0], KEY]) > named
            return parent, named
        return where, score

    @staticmethod
    def _note(candidates: dict[str, _RecordPath], prefix: str) -> None:
        """Note the value at ``prefix`` for each object around it that is not beyond an array of objects."""
        for path, candidate in candidates.items():
            start = f"{path}." if path else ""
            rest = prefix[len(start) :]
            if prefix.startswith(start) and rest and len(candidate.leaves) < MAX_HEADINGS:
                leaf = rest.removesuffix(".item")
                if ".item." not in f".{leaf}." and not leaf.split(".")[-1].startswith("@"):
                    candidate.leaves[leaf] = None

    def records(self, where: str) -> Iterator[Flat]:
        for item in self._items(where):
            for car in _rows_of_columns(item):
                flat: Flat = {}
                _flatten(car, "", flat)
                yield flat

    def _items(self, where: str) -> Iterator[dict[str, Any]]:
        self._content.seek(0)
        if self._is_by_keys:
            for key, item in ijson.kvitems(self._content, where, use_float=False):
                if isinstance(item, dict):
                    yield {KEY: key, **item} if self._names_cars else item
            return
        for item in ijson.items(self._content, where, multiple_values=True, use_float=False):
            if isinstance(item, dict) and not _NO_CAR_OF_SCHEMA.search(str(item.get("@type", ""))):
                yield item


def _alike(leaves: Sequence[str]) -> Callable[[Sequence[str]], bool]:
    """Return a predicate: whether another object has at least half of its values under the same names."""
    return lambda others: 2 * len({*leaves} & {*others}) >= len({*leaves} | {*others})


def _rows_of_columns(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cars of a table by columns: ``{"make": ["Ford", "VW"], …}``; else the item itself.

    Data frames also write ``{"make": {"0": "Ford", …}, …}``, with the number of the row before each value.
    """
    columns = [
        list(value.values()) if isinstance(value, dict) and all(map(str.isdecimal, value)) else value
        for value in item.values()
    ]
    if len(columns) < MIN_FIELDS or not all(isinstance(column, list) and len(column) > 1 for column in columns):
        return [item]
    if len({len(column) for column in columns}) > 1 or any(isinstance(value, dict | list) for value in columns[0]):
        return [item]
    return [dict(zip(item, values, strict=True)) for values in zip(*columns, strict=True)]


def _flatten(value: Any, path: str, flat: Flat) -> None:
    """Collect nested values by their paths; a list of plain values is one cell, joined by ``|``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in SKIPPED_KEYS:
                _flatten(inner, f"{path}.{key}" if path else str(key), flat)
    elif isinstance(value, list):
        if named := named_entries(value):
            for name, inner in named:
                _flatten(inner, ".".join(filter(None, (path, name))), flat)
        elif any(isinstance(inner, dict | list) for inner in value):
            for index, inner in enumerate(sorted(value, key=_order)[:MAX_REPEATS]):
                _flatten(inner, f"{path}[{index}]", flat)
        else:
            flat[path] = "|".join(text for text in map(text_of, value) if text)
    else:
        flat[path] = text_of(value)


def _order(value: Any) -> float:
    """Return the position that an entry of a list, such as a photo, gives; entries without one stay in order.

    Of several prices, trade prices come last.
    """
    kind = _kind(value).casefold()
    if kind in PRICES_OF_THE_TRADE:
        return float("inf")
    places = [value.get(name) for name in ORDERS] if isinstance(value, dict | ElementTree.Element) else []
    said = next((str(place) for place in places if place is not None), "")
    return float(said) if said.isdecimal() else 0.0


def _kind(value: Any) -> str:
    """Return the kind that an entry of a list gives: ``<type>dealer</type>``, ``type="msrp"``."""
    if isinstance(value, ElementTree.Element):
        return value.get("type") or next((child.text or "" for child in value if _local(str(child.tag)) == "type"), "")
    return str(value.get("type", "")) if isinstance(value, dict) else ""


def text_of(value: Any) -> str:
    """Return a value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


# --- XML -------------------------------------------------------------------------------------------------------------
class _Xml:
    def __init__(self, content: IO[bytes]) -> None:
        self._content = content

    def find(self, knows: KnowsHeadings) -> tuple[str, int]:
        """Return the path of the elements that are cars, and the number of fields they name."""
        candidates: dict[str, _RecordPath] = {}
        for event, path, element in islice(self._events(), EVENTS_LOOKED_AT):
            if event == "start":
                candidate = candidates.setdefault(path, _RecordPath())
                candidate.n_seen += 1
                candidate.leaves.update(dict.fromkeys(map(_local, element.attrib)))
            else:
                for ancestor in _ancestors(path):
                    self._note(candidates[ancestor], path[len(ancestor) + 1 :], element)
        if PROSPECT in candidates:
            return PROSPECT, knows.score(list(candidates[PROSPECT].leaves))
        return _best_path(_without_lists(candidates, knows), knows)

    @staticmethod
    def _note(candidate: _RecordPath, leaf: str, element: ElementTree.Element) -> None:
        if len(candidate.leaves) < MAX_HEADINGS:
            if (element.text or "").strip():
                candidate.leaves[leaf.replace("/", ".")] = None
            candidate.leaves.update(
                dict.fromkeys(f"{leaf.replace('/', '.')}.{_local(name)}" for name in element.attrib)
            )

    def _events(self) -> Iterator[tuple[str, str, ElementTree.Element]]:
        """Yield (start or end, path without namespaces, element); the caller drops elements that have ended."""
        self._content.seek(0)
        path: list[str] = []
        for event, element in iterparse(self._content, events=("start", "end")):
            if event == "start":
                path.append(_local(element.tag))
                yield event, "/".join(path), element
            else:
                yield event, "/".join(path), element
                path.pop()

    def records(self, where: str) -> Iterator[Flat]:
        stack: list[ElementTree.Element] = []
        for event, path, element in self._events():
            if event == "start":
                stack.append(element)
                continue
            stack.pop()
            if path == where:
                flat: Flat = {}
                if where == PROSPECT:
                    leave_car(element)
                _flatten_element(element, "", flat)
                yield flat
            if stack and not path.startswith(f"{where}/"):
                stack[-1].remove(element)


def _without_lists(candidates: dict[str, _RecordPath], knows: KnowsHeadings) -> dict[str, _RecordPath]:
    """Leave out the elements around several cars: they name the fields of their cars, and are fewer.

    An element that names less than half as many is a repeated part of a car, such as its prices.
    """
    candidates = _without_entries(candidates, knows)
    scores = {path: knows.score(list(candidate.leaves)) for path, candidate in candidates.items()}
    entries = [path for path in candidates if path.endswith(ENTRIES)]
    lists = {ancestor for path in entries for ancestor in _ancestors(path)}
    lists |= {
        path
        for path, candidate in candidates.items()
        for inner, cars in candidates.items()
        if inner.startswith(f"{path}/")
        and cars.n_seen > candidate.n_seen
        and len(cars.leaves) > MIN_FIELDS
        and 2 * scores[inner] > scores[path]
    }
    return {path: candidate for path, candidate in candidates.items() if path not in lists}


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n_parts]) for n_parts in range(1, len(parts))]


def _local(tag: str) -> str:
    """Return a name without its namespace."""
    return tag.rpartition("}")[2]


def _flatten_element(element: ElementTree.Element, path: str, flat: Flat) -> None:
    """Collect children and attributes by their paths; the text of an element with attributes is ``path.value``."""
    for name, value in element.attrib.items():
        flat[f"{path}.{_local(name)}" if path else _local(name)] = value
    children: dict[str, list[ElementTree.Element]] = {}
    for child in element:
        if isinstance(child.tag, str):
            children.setdefault(_local(child.tag), []).append(child)
    text = (element.text or "").strip()
    if text and path:
        flat[f"{path}.value" if element.attrib or children else path] = text
    for name, twins in children.items():
        _flatten_twins(twins, f"{path}.{name}" if path else name, flat)


def _flatten_twins(twins: list[ElementTree.Element], path: str, flat: Flat) -> None:
    """The children of one name."""
    if len(twins) == 1 or all("size" in twin.attrib for twin in twins):  # of one photo in several sizes the first
        _flatten_element(twins[0], path, flat)
    elif named := named_twins(twins):
        for said, twin in named:
            _flatten_named(twin, f"{path}.{said}", flat)
    elif not any(len(twin) or twin.attrib for twin in twins):
        flat[path] = "|".join(text for twin in twins if (text := (twin.text or "").strip()))
    else:
        for index, twin in enumerate(sorted(twins, key=_order)[:MAX_REPEATS]):
            _flatten_element(twin, f"{path}[{index}]", flat)


def _flatten_named(twin: ElementTree.Element, path: str, flat: Flat) -> None:
    """An element under the name that it has as an attribute: its text, or the attribute that holds its value."""
    text = (twin.text or "").strip() or twin.get("value", "")
    if text and not len(twin):
        flat[path] = text
        if unit := twin.get("unit"):
            flat[f"{path}.unit"] = unit
    else:
        _flatten_element(twin, path, flat)


class Readable(Protocol):
    def read(self, n_bytes: int, /) -> bytes: ...


def seekable(stream: Readable, stack: ExitStack) -> IO[bytes]:
    """Return a copy on disk of a stream that cannot be read twice, such as a member of an archive."""
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the stack closes it
    while block := stream.read(1024 * 1024):
        copy.write(block)
    return copy

"""The lexicon of the stock: the names, towns and words of what is for sale, read from the database now and then."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from django.conf import settings
from django.db import connections
from django.db.models import Avg, Count
from django.utils import timezone

from catalog.attributes import CATEGORIES
from catalog.filters import ListingFilters
from catalog.imports.vocabulary import bare
from catalog.models import CarModel, Listing, Make
from catalog.search.lexicon import Lexicon
from catalog.search.parameters import filters_of
from catalog.search.reading import SearchReading, read_search
from catalog.search.towns import Town
from catalog.units import MILES, distance_unit
from web.replicas import read_beside, reading_connection

COUNTED = {  # parameter of the search -> column whose values are counted for completions
    "brand": "make__slug",
    "model": "car_model__slug",
    **{category.name: category.column for category in CATEGORIES if category.is_in_search},
}
NEWEST_TEXTS = """
SELECT search_text FROM catalog_listing WHERE status = 'live' ORDER BY published_at DESC, id DESC LIMIT 5000
"""
WORD_IN_LISTINGS = 3  # a word that fewer have may itself be misspelt

OLDEST = 10  # times SEARCH_LEXICON_SECONDS; older ones are not used

logger = logging.getLogger(__name__)

_lock = threading.Lock()  # of who reads; held while it is read
_kept: tuple[float, Lexicon] | None = None


def current_lexicon() -> Lexicon:
    """The lexicon of this process, read again after ``SEARCH_LEXICON_SECONDS``.

    With ``settings.LISTING_INDEX_THREAD`` another thread reads it, and the one before answers until it has. A request
    reads it itself only where there is none, or one that was not asked for in a long time.
    """
    kept = _kept
    age = time.monotonic() - kept[0] if kept else float("inf")
    if kept and age < settings.SEARCH_LEXICON_SECONDS:
        return kept[1]
    if kept and settings.LISTING_INDEX_THREAD and age < OLDEST * settings.SEARCH_LEXICON_SECONDS:
        if not _lock.locked():
            threading.Thread(target=_read_beside_requests, args=(kept,), name="search-lexicon", daemon=True).start()
        return kept[1]
    return _read_once(kept)


def _read_once(known: tuple[float, Lexicon] | None) -> Lexicon:
    """Read the lexicon, unless another thread has just done so."""
    global _kept
    with _lock:
        if _kept is known:
            _kept = (time.monotonic(), read_beside("search", lexicon_of_stock))
        return _kept[1] if _kept else lexicon_of_stock()


def _read_beside_requests(known: tuple[float, Lexicon]) -> None:
    try:
        _read_once(known)
    except Exception:  # searches go on with the one before, and the next one asks again
        logger.exception("the lexicon of the stock could not be read")
    finally:
        connections.close_all()


def lexicon_of_stock() -> Lexicon:
    """Read everything anew: a few aggregates over the live listings."""
    return Lexicon(
        makes=dict(Make.objects.values_list("slug", "name")),
        models=CarModel.objects.values_list("make__slug", "slug", "name"),
        towns=_towns(),
        text_words=_text_words(),
        counts=_counts(),
    )


def _towns() -> dict[str, Town]:
    """The towns of the stock by name, each at the mean coordinates of its listings."""
    places = Listing.objects.available().exclude(place="").filter(latitude__isnull=False)
    means = places.order_by().values("place").annotate(latitude=Avg("latitude"), longitude=Avg("longitude"))
    rows = means.values_list("place", "latitude", "longitude")
    return {bare(place): Town(place, latitude, longitude) for place, latitude, longitude in rows if bare(place)}


def _counts() -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for parameter, column in COUNTED.items():
        of_value = Listing.objects.available().cars().order_by().values_list(column).annotate(n=Count("pk"))
        counts.update({(parameter, value): n for value, n in of_value if value})
    return counts


def _text_words() -> set[str]:
    """Words that several of the newest listings use; PostgreSQL counts them in the search vectors."""
    with reading_connection().cursor() as cursor:
        cursor.execute("SELECT word FROM ts_stat(%s) WHERE ndoc >= %s", [NEWEST_TEXTS, WORD_IN_LISTINGS])
        return {word for (word,) in cursor.fetchall() if word.isalpha()}


def read_query(text: str, undone: tuple[str, ...] = ()) -> tuple[SearchReading, ListingFilters]:
    """The reading of a typed search for the current stock, and its filters, including its other words."""
    lexicon = current_lexicon()
    reading = read_search(
        text, lexicon, this_year=timezone.now().year, in_miles=distance_unit() == MILES, undone=undone
    )
    return reading, filters_of(reading, lexicon)

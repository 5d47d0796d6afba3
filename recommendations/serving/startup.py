"""The data that a web process loads into memory before it answers requests."""

from __future__ import annotations

import logging
import threading

from django.db import Error, connections

from catalog.search.stock import current_lexicon
from recommendations.listings.index import borrow_index
from recommendations.listings.market_statistics import current_market_statistics

logger = logging.getLogger(__name__)


def prepare_to_serve(seconds: float) -> None:
    """Load the listing index, the market statistics and the lexicon of searches.

    Requests are answered after that, or after so many seconds. A process that is started while others answer takes no
    request that would have to wait for its load.
    """
    loading = threading.Thread(target=_load, name="prepare-to-serve", daemon=True)
    loading.start()
    loading.join(seconds)


def _load() -> None:
    try:
        with borrow_index():
            pass
        current_market_statistics()
        current_lexicon()
    except Error as error:  # the first request tries again, and answers with what is wrong
        logger.warning("not loaded before the first request: %s", error)
    finally:
        connections.close_all()

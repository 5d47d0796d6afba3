"""Which rows of a listing index have some words: asked of the database once, and kept while listings change.

Full text stays in the database, whose search knows phrases and equipment; what it says of a listing holds until the
listing changes. Rows that changed since are asked again, they alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from recommendations.listings.columns import text_matches

TEXTS_KEPT = 64  # of one process; a byte for each listing
CHANGED_AT_MOST = 5_000  # rows of a text that is not asked for meanwhile; beyond, it is forgotten
NO_IDS = np.empty(0, np.int64)


@dataclass(eq=False)
class KeptText:
    """Attributes:
    listing_ids: Those that have the words, as the database said when it was asked; None before, and none once
        there is a mask.
    mask: The same by row, shape (n_rows then,).
    changed: Rows written since it was asked.
    """

    listing_ids: NDArray[np.int64] | None = None
    mask: NDArray[np.bool_] | None = None
    changed: list[NDArray[np.intp]] = field(default_factory=list)


class KeptTexts:
    """The texts of one index. Callers of ``note`` and ``mask_of`` take turns, as its writers and readers do."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, KeptText] = LRUCache(TEXTS_KEPT)
        self._lock = Lock()

    def note(self, rows: NDArray[np.intp]) -> None:
        """Some rows have been written, or are new."""
        with self._lock:
            for text, kept in list(self._kept.items()):
                kept.changed.append(rows)
                if sum(map(len, kept.changed)) > CHANGED_AT_MOST:
                    del self._kept[text]

    def prepare(self, text: str) -> None:
        """Ask the database, where it was not asked before; rows that are written meanwhile are asked again later."""
        with self._lock:
            kept = self._kept.get(text)
            if kept is None:
                kept = self._kept[text] = KeptText()
        if kept.listing_ids is None:
            kept.listing_ids = text_matches(text)

    def mask_of(self, text: str, listing_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have the words, shape (n_rows,); ``listing_ids`` are those of the rows. Not to be changed."""
        self.prepare(text)
        with self._lock:
            kept = self._kept.get(text)
        if kept is None or kept.listing_ids is None:  # so many others were asked for since
            kept = KeptText(text_matches(text))
        if kept.mask is None or kept.changed:
            kept.mask = self._mask(text, kept, listing_ids)
            kept.listing_ids, kept.changed = NO_IDS, []
        return kept.mask

    def _mask(self, text: str, kept: KeptText, listing_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        if kept.mask is None:
            mask = np.isin(listing_ids, NO_IDS if kept.listing_ids is None else kept.listing_ids)
        else:
            mask = np.zeros(len(listing_ids), bool)
            mask[: len(kept.mask)] = kept.mask
        if kept.changed:
            rows = np.unique(np.concatenate(kept.changed))
            ids = listing_ids[rows]
            mask[rows] = np.isin(ids, text_matches(text, ids.tolist()))
        return mask

"""Jobs that draw maps of the stock by t-SNE: queue, run in a worker, store. A map that was cut short stores nothing.

``insight.taste_map`` makes the page of a map; this module does the part that takes too long for a request.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from django.core.exceptions import ValidationError
from numpy.typing import NDArray

from accounts.models import User
from jobs.work import Attempt, perform
from recommendations.engine.draws import hashed
from recommendations.exceptions import TasteMapRefused
from recommendations.insight.projection import FEWEST_CARS, fit_axes, neighbourhoods
from recommendations.listings.index import borrow_index
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.models import TasteMap

N_AXES = 30  # axes on which t-SNE measures distances; further ones hardly affect utility
Report = Callable[[float, str], None]  # share done from 0 to 1, and the name of the step


@dataclass(frozen=True, eq=False)
class Drawn:
    """Cars of a map and their coordinates.

    Attributes:
        listing_ids: int64, shape (n_cars,).
        coordinates: float64, shape (n_cars, 2).
    """

    listing_ids: NDArray[np.int64]
    coordinates: NDArray[np.float64]

    def pack(self) -> bytes:
        """Serialise for ``TasteMap.content``: npz without pickle, so that reading it can never run code."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, listing_ids=self.listing_ids, places=self.coordinates.astype(np.float32))
        return buffer.getvalue()

    @classmethod
    def unpack(cls, content: bytes) -> Drawn:
        with np.load(io.BytesIO(bytes(content)), allow_pickle=False) as arrays:
            return cls(arrays["listing_ids"], arrays["places"].astype(np.float64))


def start_map(*, n_points: int = 2_000, seed: int = 0, started_by: User | None = None) -> TasteMap:
    """Queue a map, for ``run_map``. Raises TasteMapRefused for a number of points that cannot be drawn."""
    wanted = TasteMap(n_points=n_points, seed=seed, started_by=started_by)
    try:
        wanted.clean_fields(exclude=["version", "content", "started_by"])
    except ValidationError as problem:
        raise TasteMapRefused(" ".join(problem.messages)) from problem
    wanted.save()
    return wanted


def run_map(*, map_id: int) -> TasteMap | None:
    """Draw a queued map; None if another process has claimed it, or it was cancelled. Errors are raised."""

    def work(attempt: Attempt[TasteMap]) -> None:
        version_id, drawn = draw(attempt.job, attempt.report)
        attempt.finish(version=version_id, content=drawn.pack(), n_points=len(drawn.listing_ids))

    return TasteMap.objects.get(pk=map_id) if perform(TasteMap, map_id, work) else None


def draw(wanted: TasteMap, report: Report) -> tuple[int, Drawn]:
    """Return the id of the live version, and a sample of its stock with coordinates. Raises TasteMapRefused where no
    ranker is live, or too few cars are for sale."""
    report(0.05, "loading the stock")
    with borrow_index() as listing_index:
        if listing_index is None:
            raise TasteMapRefused("no ranker is live yet, so nothing is known of taste: train one first")
        live = listing_index.column("is_live")
        rows = sampled(listing_index, np.flatnonzero(live), wanted.n_points, wanted.seed)
        if len(rows) < FEWEST_CARS:
            raise TasteMapRefused(f"{len(rows)} cars are for sale; a map takes at least {FEWEST_CARS}")
        version_id, listing_ids = listing_index.version_id, listing_index.stock.listing_ids[rows].copy()
        vectors, covariance = listing_index.stock.vectors[rows].copy(), listing_index.ranker.prior.covariance
    report(0.1, f"finding the neighbours of {len(rows):,} cars")
    features = fit_axes(vectors, covariance, min(N_AXES, vectors.shape[1])).coordinates(vectors)
    coordinates = neighbourhoods(
        features,
        seed=wanted.seed,
        report=lambda share: report(0.1 + 0.85 * share, f"moving {len(rows):,} cars to their neighbours"),
    )
    return version_id, Drawn(listing_ids, coordinates)


def sampled(snapshot: ListingSnapshot, rows: NDArray[np.intp], n: int, seed: int = 0) -> NDArray[np.intp]:
    """Return up to ``n`` of the rows, ordered by listing id.

    They are drawn by a hash of the id, so every kind of car keeps its share to within chance, and when cars come and go
    the others stay on the map.
    """
    ids = snapshot.stock.listing_ids[rows]
    if len(rows) > n:
        rows = rows[np.argpartition(hashed(ids, seed), n)[:n]]
    return rows[np.argsort(snapshot.stock.listing_ids[rows], kind="stable")]

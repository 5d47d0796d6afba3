"""The asking buyer as numbers: what is believed of the taste, and what was dealt with lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.engine.ranker import Ranker
from recommendations.engine.taste import Taste
from recommendations.models import Preference
from recommendations.preferences import current_preference, taste_of
from recommendations.window import Window, borrow_window

HISTORY_LENGTH = 30  # cars
HISTORY_DECAY = 0.9  # each earlier car counts so much less


@dataclass(frozen=True, eq=False)
class Shopper:
    """Who is asking, as numbers in the space of one version.

    Attributes:
        buyer: None for a stranger.
        version_id: Whose space the numbers belong to.
        ranker: Of that version.
        taste: What is believed of the buyer; the population where nothing is known.
        is_personal: Whether anything is known of this buyer at all.
        n_events: How many events the belief rests on.
        history: Archetype codes of the cars the buyer dealt with lately, and how strongly, same length.
        opened_make_ids: Makes of those cars.
    """

    buyer: Buyer | None
    version_id: int
    ranker: Ranker
    taste: Taste
    is_personal: bool
    n_events: int
    history: tuple[NDArray[np.int32], NDArray[np.float64]]
    opened_make_ids: frozenset[int]

    @property
    def weights(self) -> NDArray[np.float64]:
        """What the buyer wants, shape (n_dims,)."""
        return self.taste.mean


def meet(buyer: Buyer | None) -> Shopper | None:
    """The asking buyer in the live space; a stranger is the population. None before any ranker is live."""
    preference = preference_of(buyer)  # before the window is borrowed: others may use it while this is computed
    with borrow_window() as window:
        if window is None:
            return None
        if preference and preference.version_id != window.version_id:  # a promotion came in between
            preference = preference_of(buyer)
        return shopper_in(window, buyer, preference)


def preference_of(buyer: Buyer | None) -> Preference | None:
    """What is believed of a buyer; nothing of a stranger, or of somebody who opted out."""
    return current_preference(buyer) if buyer and buyer.is_personalised else None


def shopper_in(window: Window, buyer: Buyer | None, preference: Preference | None) -> Shopper:
    prior = window.ranker.prior
    recent = recently_opened(buyer) if buyer and buyer.is_personalised else []
    rows = window.stock.rows_of(np.array([event.listing_id for event in recent], np.int64))
    strengths = np.array([event.weight for event in recent]) * HISTORY_DECAY ** np.arange(len(recent))
    return Shopper(
        buyer=buyer,
        version_id=window.version_id,
        ranker=window.ranker,
        taste=taste_of(preference) if preference else Taste(prior.mean, prior.covariance),
        is_personal=preference is not None,
        n_events=preference.n_interactions if preference else 0,
        history=(window.archetypes[rows[rows >= 0]], strengths[rows >= 0]),
        opened_make_ids=frozenset(event.make_id for event in recent if event.make_id),
    )


class Opened(NamedTuple):
    """A car somebody dealt with, as far as lists need to know."""

    listing_id: int
    weight: float
    make_id: int | None


def recently_opened(buyer: Buyer) -> list[Opened]:
    """Cars the buyer dealt with in a favourable way lately, newest first."""
    events = buyer.interactions.filter(listing__isnull=False, kind__weight__gt=0).order_by("-occurred_at", "-id")
    return [
        Opened(*row) for row in events.values_list("listing_id", "kind__weight", "listing__make_id")[:HISTORY_LENGTH]
    ]

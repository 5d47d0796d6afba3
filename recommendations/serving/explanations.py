"""Explain listings: the parts of each score, and the facts that a reason may mention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from catalog.attributes import CATEGORIES, NUMBERS, columns_of
from catalog.currencies import exchange_rates
from catalog.models import Listing
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.features import ListingFeatures
from recommendations.engine.prices import MarketPrice
from recommendations.engine.ranker import Encoded
from recommendations.engine.reasons import BASE, UTILITY_CURVE
from recommendations.engine.score_terms import UTILITY, great_circle_km
from recommendations.engine.stock import FOREVER
from recommendations.serving.encodings import Encodings, encodings_of
from recommendations.serving.evidence import NO_EVIDENCE, BuyerEvidence, evidence_of
from recommendations.serving.scorer import Scorer

FACTS = ("year", "currency", "tags", *columns_of(CATEGORIES), *columns_of(NUMBERS))

Breakdown = dict[str, float]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """The parts of a listing's score, the facts that a reason may mention, and the market price.

    The market price is by the scorer's ranker, in the market's currency.
    """

    breakdown: Breakdown
    facts: Facts
    market_price: MarketPrice | None = None


def explain(listings: Sequence[Listing], scorer: Scorer | None) -> list[Explanation]:
    """Explain each of some listings.

    The values of a breakdown add up to the score. Utility is split by the features of the car, under the interest where
    it is highest; ``BASE`` is the part that does not depend on the car, and ``UTILITY_CURVE`` what the curve of utility
    adds, where there is one. Without a scorer, before any version is live, breakdowns are empty.
    """
    if scorer is None or not listings:
        return [Explanation({}, facts_of(listing)) for listing in listings]
    encodings = encodings_of(listings, scorer.buyer_context.ranker)
    listing_features = listing_features_of(listings, encodings)
    scored = scorer.score_listings(listing_features, [listing.pk for listing in listings])
    features = features_of(encodings.encoded, scored.tastes, scorer)
    of_curve = utility_curve_of(listing_features, scorer)
    evidence = evidence_of(scorer.buyer_context)
    others = [(name, scored.parts[:, at].tolist()) for at, name in enumerate(scored.names) if name != UTILITY]
    return [
        Explanation(
            {**features[row], **of_curve[row], **{name: values[row] for name, values in others}},
            {**facts_of(listing, scorer, evidence), "is_below_market": market is not None and market.label == "good"},
            market,
        )
        for row, (listing, market) in enumerate(zip(listings, encodings.market_prices, strict=True))
    ]


def features_of(encoded: Encoded, tastes: NDArray[np.intp], scorer: Scorer) -> list[Breakdown]:
    """The utility of each score split by features of the car, under the interest that scored it, and ``BASE``."""
    scale, zero = scorer.score.scale_of(UTILITY), scorer.score.mean_of(UTILITY)
    breakdowns: list[Breakdown] = [{} for _ in range(len(tastes))]
    for taste in np.unique(tastes).tolist():
        rows = np.flatnonzero(tastes == taste)
        ranker, weights = scorer.buyer_context.ranker, scorer.buyer_features.weights[taste]
        parts = ranker.breakdown_of(weights, encoded if len(rows) == len(tastes) else encoded.take(rows))
        base = scale * (scorer.buyer_features.offsets[taste] - zero)
        for row, values in zip(rows.tolist(), (scale * parts.values).tolist(), strict=True):
            breakdowns[row] = {**dict(zip(parts.names, values, strict=True)), BASE: float(base)}
    return breakdowns


def utility_curve_of(listing_features: ListingFeatures, scorer: Scorer) -> list[Breakdown]:
    """The part of the curve of utility in each score; 0 if the score has no curves."""
    if scorer.score.curves is None:
        return [{} for _ in range(len(listing_features))]
    utilities, _ = scorer.buyer_features.utilities(listing_features.vectors)
    added = scorer.score.curve_of(UTILITY, utilities, scorer.buyer_features.n_cars)
    return [{UTILITY_CURVE: value} for value in added.tolist()]


def listing_features_of(listings: Sequence[Listing], encodings: Encodings) -> ListingFeatures:
    """Listings as the score needs them, from their current rows."""
    published = [listing.published_at.timestamp() if listing.published_at else np.nan for listing in listings]
    locations = [[listing.latitude, listing.longitude] for listing in listings]
    latitude, longitude = np.array(locations, np.float64).T
    return ListingFeatures(
        vectors=encodings.encoded.vectors,
        archetypes=encodings.encoded.archetypes,
        published_at=np.array(published),
        ended_at=np.full(len(listings), FOREVER),
        deals=encodings.deals,
        latitude=latitude,
        longitude=longitude,
    )


def facts_of(listing: Listing, scorer: Scorer | None = None, evidence: BuyerEvidence = NO_EVIDENCE) -> Facts:
    """The fields on the card of a listing, which a reason may mention."""
    return {
        "make": listing.make.name if listing.make else "",
        "model": listing.car_model.name if listing.car_model else "",
        "seller_kind": listing.seller.kind if listing.seller else "",
        "price": float(listing.price) if listing.price is not None else None,
        "days_on_sale": days_on_sale(listing),
        "evidence": evidence.about(listing),
        "budget": evidence.budget_for(listing),
        "is_wished": evidence.is_wished(listing),
        "is_saved": evidence.is_saved(listing),
        "has_history": bool(scorer and len(scorer.buyer_context.history[0])),
        "price_drop": price_drop_of(listing, scorer),
        "distance_km": distance_to(listing, scorer),
        **{name: getattr(listing, name) for name in FACTS},
    }


def days_on_sale(listing: Listing) -> float | None:
    published = listing.published_at
    return (timezone.now() - published).total_seconds() / SECONDS_A_DAY if published else None


def price_drop_of(listing: Listing, scorer: Scorer | None) -> float | None:
    """By how much the price fell lately, in the currency the car is advertised in; None where it did not."""
    drop = scorer.market_statistics.price_drops.get(listing.pk) if scorer else None
    rate = exchange_rates().get(listing.currency)
    return None if drop is None or rate is None else drop / rate


def distance_to(listing: Listing, scorer: Scorer | None) -> float | None:
    """Kilometres from the buyer's location, or the one they ask about; None where either location is unknown."""
    location = scorer.buyer_features.location if scorer else None
    if location is None or listing.latitude is None or listing.longitude is None:
        return None
    return float(great_circle_km(*location, listing.latitude, listing.longitude))

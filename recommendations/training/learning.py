"""Fit what a version learns from events and listings: encoder, factors, prior, position bias, listing vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from catalog.models import Listing
from recommendations.buyers.histories import choice_sets_of
from recommendations.buyers.point_in_time import weights_of, without_repeats
from recommendations.engine.archetypes import CollaborativeConfig
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.collaborative import (
    CollaborativeModel,
    Feedback,
    fit_collaborative,
    fit_collaborative_in_parts,
)
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.encoder import Encoder, EncoderConfig, fit_encoder
from recommendations.engine.evidence import POSITION_SCALE
from recommendations.engine.parts import LocalParts
from recommendations.engine.population import PriorConfig, fit_prior, fit_prior_in_parts
from recommendations.engine.prices import CarPrices, fit_car_prices
from recommendations.engine.ranker import Ranker, beside
from recommendations.engine.similarity import STRENGTHS, Similarity, fit_similarity, learn_strengths
from recommendations.engine.taste import Prior
from recommendations.events.rows import EventRows
from recommendations.exceptions import TrainingRefused
from recommendations.listings.rows import ListingRows, read_listings
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.models import VECTOR_DIMENSIONS
from recommendations.training.cluster import Executor, InProcess
from recommendations.training.co_views import co_views_in
from recommendations.training.dataset import PartedEvents, read_parted
from recommendations.training.parameters import TrainingParameters

Report = Callable[[float, str], None]  # fraction done from 0 to 1, and what is being done
# Length of the factors against that of the content. At 0.5 their noise cost a simulated buyer with 20 events 1.4 points
# of 100 of the utility they could have had; where factors are informative, the prior weighs them accordingly.
FACTOR_NORM = 0.2


@dataclass(frozen=True, eq=False)
class Material:
    """What a training learns from, read and encoded once.

    Attributes:
        rows: All listings except drafts, sold ones too.
        encoder: Fitted on them.
        content: Their content features, shape (n_listings, n_content).
        prices: The price model fitted on them.
        events: The events, in partitions.
    """

    rows: ListingRows
    encoder: Encoder
    content: NDArray[np.float32]
    prices: CarPrices
    events: PartedEvents

    @classmethod
    def of(cls, rows: ListingRows, encoder: Encoder, events: EventRows | PartedEvents) -> Self:
        parted = PartedEvents.of(events)
        return cls(rows, encoder, encoder.encode(rows.table), fit_car_prices(rows.table), parted)

    @property
    def as_of(self) -> datetime | None:
        """The time of the newest event. What is learned as of then does not depend on when it is learned."""
        return datetime.fromtimestamp(self.events.counts.newest_at, UTC) if len(self.events) else None

    def before(self, cutoff: float) -> Self:
        """The same with only the events before a cutoff, in epoch seconds."""
        return replace(self, events=self.events.before(cutoff))


def read_material(
    parameters: TrainingParameters, now: datetime, report: Report, where: Executor | None = None
) -> Material:
    report(0.02, "reading listings")
    rows = read_listings(Listing.objects.cars().exclude(status=Listing.Status.DRAFT))
    if not len(rows):
        raise TrainingRefused("there are no listings to learn from: import some, or seed a demo market")
    report(0.06, f"fitting the encoder on {len(rows)} listings")
    encoder = fit_encoder(rows.table, EncoderConfig(n_dims=settings.CONTENT_DIMENSIONS))
    report(0.14, "reading events")
    since = now - timedelta(days=parameters.history_days)
    events = read_parted(where or InProcess(), since, settings.TRAINING_EVENTS_PER_PARTITION)
    return Material.of(rows, encoder, events)


@dataclass(frozen=True)
class Steps:
    """Reports the progress of one part of a training, between two fractions of the whole."""

    report: Report
    first: float
    last: float
    material: str

    def __call__(self, share: float, step: str) -> None:
        self.report(self.first + share * (self.last - self.first), f"{step} of {self.material}")


def learn(
    material: Material,
    parameters: TrainingParameters,
    now: datetime,
    report: Report = lambda fraction, step: None,
    population: Prior | None = None,
) -> ListingSnapshot:
    """Fit everything that depends on events, as of ``now``; returns a snapshot of all listings under that ranker."""
    rows = material.rows
    report(0.0, "learning the archetypes")
    collaborative = fit_factors(material, parameters, now)
    vectors = beside(material.content, collaborative.listing_factors(rows.table, material.content), VECTOR_DIMENSIONS)
    at = np.flatnonzero((rows.published_at <= now.timestamp()) & (rows.ended_at > now.timestamp()))
    ranker = Ranker(
        encoder=material.encoder,
        collaborative=collaborative,
        prior=fit_prior([], VECTOR_DIMENSIONS),
        baseline=(vectors[at] if len(at) else vectors).mean(axis=0),
        n_dims=VECTOR_DIMENSIONS,
        prices=material.prices,
    )
    snapshot = ListingSnapshot(ranker)
    snapshot.put(rows, vectors)
    report(0.5, "learning the population")
    prior, position_bias = learn_prior(
        snapshot, material.events, parameters, now, population,
        lambda share: report(0.5 + 0.5 * share, "learning the population"),
    )  # fmt: skip
    snapshot.ranker = ranker.with_population(prior, position_bias)
    return snapshot


def fit_factors(material: Material, parameters: TrainingParameters, now: datetime) -> CollaborativeModel:
    """Fit the collaborative model on every favourable event on a listing, weighted by its kind and age."""
    rows, parts = material.rows, material.events.parts
    feedback = parts.map(
        feedback_in, parts.share(rows.listing_ids), now.timestamp(), parameters.archetype_half_life_days
    )
    config = CollaborativeConfig(
        n_factors=settings.COLLABORATIVE_DIMENSIONS, relative_norm=FACTOR_NORM, seed=parameters.seed
    )
    if isinstance(feedback, LocalParts) and len(feedback) == 1:
        [only] = feedback.values
        return fit_collaborative(
            rows.table, material.content, only.buyer_rows, only.listing_rows, only.weights, only.n_buyers, config
        )
    return fit_collaborative_in_parts(rows.table, material.content, feedback, config)


def feedback_in(events: EventRows, listing_ids: NDArray[np.int64], now: float, half_life_days: float) -> Feedback:
    """The favourable events of a partition on some listings (sorted ids), weighted as of ``now`` (epoch seconds)."""
    weights = weights_of(events)
    listing_rows = positions_of(events.listing_ids, listing_ids)
    is_counted = (weights > 0) & (listing_rows >= 0)
    age_days = np.maximum(now - events.occurred_at[is_counted], 0.0) / SECONDS_A_DAY
    buyers, buyer_rows = np.unique(events.buyer_ids[is_counted], return_inverse=True)
    faded = weights[is_counted] * np.exp2(-age_days / half_life_days)
    return Feedback(buyer_rows, listing_rows[is_counted].astype(np.int64), faded, len(buyers))


def positions_of(listing_ids: NDArray[np.int64], sorted_ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """The position of each id in a sorted array; -1 where it is not in it."""
    at = np.minimum(np.searchsorted(sorted_ids, listing_ids), max(len(sorted_ids) - 1, 0))
    return np.where(sorted_ids[at] == listing_ids, at, -1)


def learn_prior(
    snapshot: ListingSnapshot,
    events: PartedEvents,
    parameters: TrainingParameters,
    now: datetime,
    start: Prior | None = None,
    report: Callable[[float], None] = lambda share: None,
) -> tuple[Prior, float]:
    """Fit the population's prior by EM over a random sample of buyers, and with it the position bias of lists.

    The position in the list is one more feature of each alternative, so the same EM separates its effect from the
    preferences. The sample is of all buyers: a prior of the busiest alone would not fit the others.
    """
    sample = np.random.default_rng(parameters.seed).permutation(events.buyer_ids)[: parameters.prior_buyers]
    here = events.parts.share(snapshot)
    sets = events.parts.map(choices_of_sample, np.sort(sample), here, parameters, now)
    n_dims = VECTOR_DIMENSIONS
    begin = None if start is None else with_position(start, snapshot.ranker.position_bias)
    both = fit_prior_in_parts(sets, n_dims + 1, PriorConfig(seed=parameters.seed), begin, report)
    prior = Prior(both.mean[:n_dims], both.covariance[:n_dims, :n_dims])
    return prior, max(0.0, -float(both.mean[n_dims]) * POSITION_SCALE)


def choices_of_sample(
    events: EventRows,
    sample: NDArray[np.int64],
    snapshot: ListingSnapshot,
    parameters: TrainingParameters,
    now: datetime,
) -> list[ChoiceSets]:
    """The choice sets of the sampled buyers in a partition, ordered by buyer id."""
    newest = without_repeats(events.of_buyers(sample)).newest_per_buyer(parameters.events_per_buyer)
    found = choice_sets_of(newest, snapshot, now, parameters.sampled_alternatives, learns_position=True)
    # a stronger event says more of its buyer, but not that buyers differ more: that is what the prior is about
    return [each.reweighted(np.minimum(each.weights, 1.0)) for each in found.values()]


def with_position(prior: Prior, position_bias: float) -> Prior:
    """A prior with the position's effect as its last weight, from which the search for the next one starts."""
    n_dims = prior.n_dims
    covariance = np.eye(n_dims + 1) * prior.covariance.diagonal().mean()
    covariance[:n_dims, :n_dims] = prior.covariance
    return Prior(np.r_[prior.mean, -position_bias / POSITION_SCALE], covariance)


def learn_similarity(material: Material, snapshot: ListingSnapshot) -> Similarity:
    """Fit the space of similar cars: standardised attributes, weighted by what buyers opened next, if that suffices."""
    strengths = learn_strengths(co_views_in(material.events, snapshot, material.rows.table), STRENGTHS)
    return fit_similarity(material.rows.table, strengths)

"""Train a ranker version beside the live one: dataset -> fit -> evaluate -> version -> promotion.

Nothing here touches what is live until the pointer moves. What arrives meanwhile is not lost: preferences of the new
space are computed from the whole log when first asked for, and listings without a vector are given one before and
after the promotion.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from catalog.models import Listing
from recommendations.artifacts import save_ranker
from recommendations.datasets import EventRows, ListingRows, read_events, read_listings, write_vectors
from recommendations.engine.archetypes import CollaborativeConfig, CollaborativeModel, fit_collaborative
from recommendations.engine.encoder import Encoder, EncoderConfig, fit_encoder
from recommendations.engine.ranker import Ranker, join_parts
from recommendations.engine.taste import Prior, PriorConfig, fit_prior
from recommendations.evaluation import evaluate_space
from recommendations.exceptions import RankerRefused, TrainingRefused
from recommendations.histories import choice_sets_of
from recommendations.models import VECTOR_DIMENSIONS, EventKind, RankerVersion, TrainingRun
from recommendations.services import (
    create_partition,
    embed_in_space,
    index_partition,
    promote_ranker,
    retire_old_rankers,
    retire_ranker,
)
from recommendations.space import ListingSpace

logger = logging.getLogger(__name__)

Report = Callable[[float, str], None]  # fraction done from 0 to 1, and what is being done

FEWEST_EVENTS_TO_TEST_ON = 20
BUYERS_FOR_TEST = 150  # a prior for the test alone need not be the best there is: that would double the training
SILENCE_OF_THE_DEAD = timedelta(minutes=30)  # no step of a training takes that long
# Length of the factors against that of the content. At 0.5 their noise cost a simulated buyer with 20 events 1.4 points
# of 100 of the utility she could have had; where they do tell something, the prior gives them the weight they deserve.
FACTOR_NORM = 0.2


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """What an operator may choose for one training.

    Attributes:
        history_days: Events older than this are not learned from.
        prior_buyers: The prior is learned from at most so many buyers, those with the most events first.
        events_per_buyer: Of each of them, at most so many of the newest events.
        sampled_alternatives: Random live listings beside each choice.
        held_back_share: The newest share of the events is kept for evaluation.
        seed: Makes a training repeatable.
    """

    history_days: int = 365
    prior_buyers: int = 400
    events_per_buyer: int = 40
    sampled_alternatives: int = 20
    held_back_share: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("history_days", "prior_buyers", "events_per_buyer", "sampled_alternatives"):
            if getattr(self, name) < 1:
                raise TrainingRefused(f"{name} must be at least 1")
        if not 0 < self.held_back_share < 1:
            raise TrainingRefused("held_back_share must lie between 0 and 1")

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> TrainingParameters:
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise TrainingRefused(f"unknown parameter {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**given)


def start_training(
    *, parameters: dict[str, Any] | None = None, promote: bool = True, started_by: User | None = None
) -> TrainingRun:
    """A queued run, to be handed to ``run_training``; raises TrainingRefused for parameters that make no sense."""
    checked = TrainingParameters.from_json(parameters or {})
    return TrainingRun.objects.create(parameters=asdict(checked), promote=promote, started_by=started_by)


def run_training(*, run_id: int, report: Report | None = None) -> RankerVersion | None:
    """Carry out a queued run; None when somebody else already took it. Raises what went wrong, after noting it."""
    if not claim(run_id):
        return None
    run = TrainingRun.objects.select_related("version").get(pk=run_id)
    if run.version and run.version.status == RankerVersion.Status.TRAINING:
        discard(run.version)  # what a process that died left behind
    version = RankerVersion.objects.create()
    TrainingRun.objects.filter(pk=run_id).update(version=version)
    try:
        train(version, TrainingParameters.from_json(run.parameters), RunReporter(run, report), promote=run.promote)
    except SystemExit:  # the process is told to stop: whoever starts next begins again
        discard(version)
        TrainingRun.objects.filter(pk=run_id).update(status=TrainingRun.Status.QUEUED, progress=0, step="")
        raise
    except BaseException as error:
        fail(run, version, error)
        raise
    TrainingRun.objects.filter(pk=run_id).update(
        status=TrainingRun.Status.DONE, progress=1, finished_at=timezone.now(), heartbeat_at=timezone.now()
    )
    version.refresh_from_db()
    return version


def claim(run_id: int) -> bool:
    """Take a queued run, or one whose process has been silent for so long that it must have died."""
    now = timezone.now()
    dead = Q(status=TrainingRun.Status.RUNNING, heartbeat_at__lt=now - SILENCE_OF_THE_DEAD)
    free = TrainingRun.objects.filter(Q(status=TrainingRun.Status.QUEUED) | dead, pk=run_id)
    return bool(free.update(status=TrainingRun.Status.RUNNING, started_at=now, heartbeat_at=now))


def discard(version: RankerVersion) -> None:
    """Leave no half-trained version behind."""
    retire_ranker(version)
    RankerVersion.objects.filter(pk=version.pk).update(status=RankerVersion.Status.FAILED)


def fail(run: TrainingRun, version: RankerVersion, error: BaseException) -> None:
    """Note how a run ended; a cancelled one was stopped on purpose."""
    discard(version)
    cancelled = isinstance(error, TrainingCancelled)
    TrainingRun.objects.filter(pk=run.pk).update(
        status=TrainingRun.Status.CANCELLED if cancelled else TrainingRun.Status.FAILED,
        error=str(error) or type(error).__name__,
        finished_at=timezone.now(),
    )


class TrainingCancelled(TrainingRefused):
    """An operator cancelled the run."""


class RunReporter:
    """Writes progress into the run, where the admin shows it, and notices when somebody cancelled it."""

    def __init__(self, run: TrainingRun, also: Report | None) -> None:
        self._run_id = run.pk
        self._also = also
        self._log: list[str] = []

    def __call__(self, fraction: float, step: str) -> None:
        now = timezone.now()
        self._log.append(f"{now:%H:%M:%S} {step}")
        still_wanted = TrainingRun.objects.filter(pk=self._run_id, status=TrainingRun.Status.RUNNING).update(
            progress=fraction, step=step, heartbeat_at=now, log="\n".join(self._log)
        )
        if not still_wanted:
            raise TrainingCancelled("cancelled")
        if self._also:
            self._also(fraction, step)


def train(version: RankerVersion, parameters: TrainingParameters, report: Report, *, promote: bool) -> None:
    now = timezone.now()
    report(0.02, "reading listings")
    rows = read_listings(Listing.objects.exclude(status=Listing.Status.DRAFT))
    if not len(rows):
        raise TrainingRefused("there are no listings to learn from: import some, or seed a demo market")
    report(0.10, f"fitting the encoder on {len(rows)} listings")
    encoder = fit_encoder(rows.table, EncoderConfig(n_dims=settings.CONTENT_DIMENSIONS))
    report(0.20, "reading events")
    events = read_events(since=now - timedelta(days=parameters.history_days))
    version.metrics = tested(rows, encoder, events, parameters, report)
    report(0.55, f"learning from all {len(events)} events")
    space = learn(rows, encoder, events, parameters, now)
    report(0.75, "storing vectors")
    store_version(version, space, rows)
    version.n_listings, version.n_interactions = len(rows), len(events)
    version.n_buyers, version.last_interaction_id = events.n_buyers, events.last_id
    version.status = RankerVersion.Status.READY
    report(0.85, "building the index")
    index_partition(version.pk)
    version.save()
    catch_up(version)
    if promote:
        report(0.95, "promoting")
        promote_ranker(version=version, note="promoted after training")
        catch_up(version)
    retire_old_rankers()
    report(1.0, f"{version} is {'live' if promote else 'ready'}")


def tested(
    rows: ListingRows, encoder: Encoder, events: EventRows, parameters: TrainingParameters, report: Report
) -> dict[str, Any]:
    """Learn from the older events alone and test on the newer ones; empty when there are too few to hold any back."""
    if len(events) < FEWEST_EVENTS_TO_TEST_ON:
        return {}
    moment = float(np.quantile(events.occurred_at, 1 - parameters.held_back_share))
    past = events.before(moment)
    report(0.25, f"learning from {len(past)} events, to be tested on the other {len(events) - len(past)}")
    fewer = replace(parameters, prior_buyers=min(parameters.prior_buyers, BUYERS_FOR_TEST))
    space = learn(rows, encoder, past, fewer, datetime.fromtimestamp(moment, UTC))
    report(0.45, "evaluating")
    return evaluate_space(space, events, moment, seed=parameters.seed)


def learn(
    rows: ListingRows, encoder: Encoder, events: EventRows, parameters: TrainingParameters, now: datetime
) -> ListingSpace:
    """Fit what depends on events, as of a moment, and place every listing in the space that results."""
    collaborative = fit_factors(rows, encoder, events, parameters.seed)
    vectors = join_parts(encoder, collaborative, rows.table, VECTOR_DIMENSIONS)
    at = np.flatnonzero((rows.published_at <= now.timestamp()) & (rows.ended_at > now.timestamp()))
    ranker = Ranker(
        encoder=encoder,
        collaborative=collaborative,
        prior=fit_prior([], VECTOR_DIMENSIONS),
        baseline=(vectors[at] if len(at) else vectors).mean(axis=0),
        n_dims=VECTOR_DIMENSIONS,
    )
    space = ListingSpace(ranker)
    space.put(rows, vectors)
    space.ranker = ranker.with_prior(learn_prior(space, events, parameters, now))
    return space


def fit_factors(rows: ListingRows, encoder: Encoder, events: EventRows, seed: int) -> CollaborativeModel:
    """The collaborative part, from every favourable event on a listing, weighed by its kind."""
    weight_by_kind = {kind.slug: kind.weight for kind in EventKind.objects.all()}
    weights = np.array([weight_by_kind.get(kind, 0.0) for kind in events.kinds])
    listing_rows = positions_of(events.listing_ids, rows.listing_ids)
    told = (weights > 0) & (listing_rows >= 0)
    buyers, buyer_rows = np.unique(events.buyer_ids[told], return_inverse=True)
    return fit_collaborative(
        rows.table,
        encoder.encode(rows.table),
        buyer_rows,
        listing_rows[told],
        weights[told],
        len(buyers),
        CollaborativeConfig(n_factors=settings.COLLABORATIVE_DIMENSIONS, relative_norm=FACTOR_NORM, seed=seed),
    )


def positions_of(listing_ids: NDArray[np.int64], sorted_ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each id stands in a sorted array; -1 where it does not."""
    at = np.minimum(np.searchsorted(sorted_ids, listing_ids), max(len(sorted_ids) - 1, 0))
    return np.where(sorted_ids[at] == listing_ids, at, -1)


def learn_prior(space: ListingSpace, events: EventRows, parameters: TrainingParameters, now: datetime) -> Prior:
    """The population's taste, by EM over the buyers who told most."""
    buyers, counts = np.unique(events.buyer_ids, return_counts=True)
    busiest = buyers[np.argsort(-counts, kind="stable")][: parameters.prior_buyers * 3]
    rng = np.random.default_rng(parameters.seed)
    sample = rng.permutation(busiest)[: parameters.prior_buyers]
    newest = events.of_buyers(sample).newest_per_buyer(parameters.events_per_buyer)
    sets = [
        # a stronger event says more of its buyer, but not that buyers differ more: that is what the prior is about
        told.reweighted(np.minimum(told.weights, 1.0))
        for told in choice_sets_of(newest, space, now, parameters.sampled_alternatives).values()
    ]
    return fit_prior(sets, VECTOR_DIMENSIONS, PriorConfig(seed=parameters.seed))


@transaction.atomic
def store_version(version: RankerVersion, space: ListingSpace, rows: ListingRows) -> None:
    create_partition(version.pk)
    save_ranker(space.ranker, version)
    write_vectors(version, rows.listing_ids, space.stock.vectors, rows.table.digests())


def catch_up(version: RankerVersion) -> None:
    """Vectors for what was published or changed while the training ran."""
    ids = list(Listing.objects.available().order_by("id").values_list("id", flat=True))
    try:
        embed_in_space(version, ids)
    except RankerRefused:
        logger.exception("could not embed what arrived during the training")
        raise

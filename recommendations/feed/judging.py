"""The hourly test of the feed's fit against an earlier fit that was kept, on the newest likes.

The feed refits every few seconds and serves each fit at once, without waiting for this test. If a test shows that new
fits are worse than the kept one, the feed serves the kept fit until a later test no longer shows it, or until an
operator overrules it. A new fit replaces the kept one only if it is significantly better, so small losses do not add
up.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from recommendations.engine.arrays import Array, Floats, Rows
from recommendations.feed.fitting import Log, force_next_fit, lock_fits, write_fit
from recommendations.feed.held_out import HeldOutLikes, K, popular_lists, results_of
from recommendations.feed.lists import rules
from recommendations.feed.memory import Items, config, model_for_items, pack_model, unpack_arrays
from recommendations.feed.model import FeedEvents, FeedModel, fit_feed
from recommendations.metrics import ranking as metrics
from recommendations.models import BotMark, FeedJudgement
from recommendations.training.gate import Code, GateFigures, Verdict, decide

logger = logging.getLogger(__name__)

TESTED_SHARE = 0.15  # share of the likes, the newest, that is held out
SETTLED = timedelta(seconds=1)
KEPT_FIT = "the fit that was kept"
LOSSES = (("low", "high", "margin"), ("pairs_low", "pairs_high", "pairs_margin"))  # names of the verdict's figures


@dataclass(frozen=True, eq=False)
class JudgedFit:
    """A tested fit.

    Attributes:
        verdict: Of ``gate.decide``.
        content: The packed fit.
        until: Time of the newest event it was fitted on.
        files: File numbers of the log's tables, as in ``Log``.
    """

    verdict: Verdict
    content: bytes
    until: datetime
    files: tuple[int, ...]

    @property
    def is_lost(self) -> bool:
        """Whether the test shows that the fit loses more than the margin.

        An unclear result does not count, and neither do popularity and coverage: the kept fit would not help against
        them.
        """
        figures = self.verdict.figures
        return any(
            low in figures and figures[high] < 0 and figures[low] < -figures[margin] for low, high, margin in LOSSES
        )

    @property
    def is_better(self) -> bool:
        """Whether the fit is significantly better than the kept one, or there is no kept one."""
        return self.verdict.code == Code.FIRST or (self.verdict.figures.get("low", 0.0) > 0 and not self.is_lost)


def judge_feed() -> Verdict | None:
    """Test the newest fit, and keep it, hold the kept one, or release it, by the verdict.

    Returns:
        The verdict; None if there are no likes, or if the site was emptied or the verdict overruled meanwhile.
    """
    now = timezone.now()
    before = FeedJudgement.objects.first()
    judged = judge_newest_fit(before, now)
    if judged is None:
        return None
    changes: dict[str, Any] = {"verdict": judged.verdict.to_json(), "judged_at": now}
    if judged.is_better:
        changes |= {"content": judged.content, "kept_until": judged.until}
    if judged.verdict.code != Code.TOO_LITTLE_EVIDENCE:
        changes["is_holding"] = judged.is_lost
    with lock_fits() as files:
        current = FeedJudgement.objects.first()
        if files != judged.files or holding_state(current) != holding_state(before):
            return None
        after, _ = FeedJudgement.objects.update_or_create(pk=FeedJudgement.ONLY, defaults=changes)
        was_holding = before is not None and before.is_holding
        if after.is_holding and not was_holding:
            logger.warning("the feed serves what it had learned until %s: %s", after.kept_until, judged.verdict.reason)
            write_fit(bytes(after.content), now)
        elif was_holding and not after.is_holding:
            force_next_fit()
    return judged.verdict


def holding_state(judgement: FeedJudgement | None) -> tuple[datetime | None, bool]:
    """Return the two fields that a concurrent change of the judgement would change."""
    return (judgement.kept_until, judgement.is_holding) if judgement else (None, False)


def judge_newest_fit(before: FeedJudgement | None, now: datetime) -> JudgedFit | None:
    """Fit all but the newest likes and compare it on these with the kept fit; None without likes."""
    log = Log()
    items = log.read_until(now - SETTLED)
    bots = list(BotMark.objects.filter(is_bot=True).values_list("buyer_id", flat=True))
    happened = log.to_feed_log(items.listing_ids, bots)
    kept = load_kept_fit(before)
    cutoff = max(happened.start_of_newest_share(TESTED_SHARE), kept.until if kept else 0.0)
    if not np.isfinite(cutoff):
        return None
    past = happened.before(cutoff)
    newest = fit_feed(past, items.tags, config(bool(items.tags.nnz)))
    figures = None
    if kept:
        figures = compare(
            newest, model_for_items(kept.arrays, items), items, past, HeldOutLikes.after(happened, cutoff)
        )
    content, until = pack_model(newest, items.listing_ids), datetime.fromtimestamp(cutoff, UTC)
    return JudgedFit(decide(figures), content, until, log.files)


@dataclass(frozen=True, eq=False)
class KeptFit:
    """The arrays of the kept fit, and the time of the newest event it was fitted on, epoch seconds."""

    arrays: dict[str, Array]
    until: float


def load_kept_fit(before: FeedJudgement | None) -> KeptFit | None:
    if before is None or before.kept_until is None:
        return None
    return KeptFit(unpack_arrays(bytes(before.content)), before.kept_until.timestamp())


def compare(newest: FeedModel, kept: FeedModel, items: Items, past: FeedEvents, held_out: HeldOutLikes) -> GateFigures:
    """Test two fits on the same users; ``past`` are the events before the cutoff."""
    usual = rules(bool(items.tags.nnz))
    new, live = (results_of(model, items.tags, items.is_live, held_out, usual) for model in (newest, kept))
    popular = popular_lists(past, items.is_live, held_out)
    new_ndcg, live_ndcg, popularity = (ndcg_of(lists, held_out) for lists in (new.lists, live.lists, popular))
    n_items = len(items.is_live)
    return GateFigures(
        new=new_ndcg,
        live=live_ndcg,
        new_coverage=metrics.catalogue_coverage(new.lists, n_items, K),
        live_coverage=metrics.catalogue_coverage(live.lists, n_items, K),
        popularity=popularity,
        new_won=new.won,
        live_won=live.won,
        k=K,
        live_name=KEPT_FIT,
    )


def ndcg_of(lists: Rows, held_out: HeldOutLikes) -> Floats:
    """Return NDCG@K of each user, shape (n_users,)."""
    return metrics.ndcg_at_k(metrics.find_hits(lists, held_out.relevant), K)


def overrule_judgement() -> None:
    """Serve the newest fit despite the verdict; the next test keeps the fit of that time."""
    with lock_fits():
        FeedJudgement.objects.update(is_holding=False, kept_until=None, content=b"", verdict={})
        force_next_fit()

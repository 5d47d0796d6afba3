"""Is what the feed learned lately as good as what it had learned before? Judged on what people liked since.

The feed learns every few seconds, so nothing waits for a verdict: it goes on serving what it learns, unless that is
shown to be worse than the fit that was kept. Then the kept fit serves until that is shown no more, or until an operator
overrules it. The kept fit changes only for one that is significantly better, so that decay does not add up.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from recommendations.engine.arrays import Array, Floats, Rows
from recommendations.feed.fitting import Log, fits_stand_still, learn_anew, write_fit
from recommendations.feed.held_out import FeedQuestion, K, answers_of, popular_lists
from recommendations.feed.lists import rules
from recommendations.feed.memory import Items, config, model_of, packed, unpacked
from recommendations.feed.model import FeedEvents, FeedModel, fit_feed
from recommendations.metrics import ranking as metrics
from recommendations.models import BotMark, FeedJudgement
from recommendations.training.gate import Code, GateFigures, Verdict, decide

logger = logging.getLogger(__name__)

TESTED_SHARE = 0.15  # newest part of the likes, which are asked for
SETTLED = timedelta(seconds=1)
KEPT_FIT = "the fit that was kept"
LOSSES = (("low", "high", "margin"), ("pairs_low", "pairs_high", "pairs_margin"))  # figures of each comparison


@dataclass(frozen=True, eq=False)
class Judged:
    """A verdict, the fit it is about, packed, until when that had learned, and the files of the log it read."""

    verdict: Verdict
    content: bytes
    until: datetime
    files: tuple[int, ...]

    @property
    def is_lost(self) -> bool:
        """Whether it is shown, and not only unclear, that more than the margin is lost. Popularity and coverage do not
        count: against either of them the kept fit would be no help."""
        figures = self.verdict.figures
        return any(
            low in figures and figures[high] < 0 and figures[low] < -figures[margin] for low, high, margin in LOSSES
        )

    @property
    def is_better(self) -> bool:
        """Whether it is significantly better than the kept fit, or there is none."""
        return self.verdict.code == Code.FIRST or (self.verdict.figures.get("low", 0.0) > 0 and not self.is_lost)


def judge_feed() -> Verdict | None:
    """Judge what the feed learns, and keep, hold or release by the verdict.

    Returns:
        None where nothing was liked yet, or the site was emptied or the verdict overruled meanwhile.
    """
    now = timezone.now()
    before = FeedJudgement.objects.first()
    judged = judged_now(before, now)
    if judged is None:
        return None
    changes: dict[str, Any] = {"verdict": judged.verdict.to_json(), "judged_at": now}
    if judged.is_better:
        changes |= {"content": judged.content, "kept_until": judged.until}
    if judged.verdict.code != Code.TOO_LITTLE_EVIDENCE:  # which changes nothing
        changes["is_holding"] = judged.is_lost
    with fits_stand_still() as files:
        current = FeedJudgement.objects.first()
        if files != judged.files or standing_of(current) != standing_of(before):
            return None
        after, _ = FeedJudgement.objects.update_or_create(pk=FeedJudgement.ONLY, defaults=changes)
        was_holding = before is not None and before.is_holding
        if after.is_holding and not was_holding:
            logger.warning("the feed serves what it had learned until %s: %s", after.kept_until, judged.verdict.reason)
            write_fit(bytes(after.content), now)
        elif was_holding and not after.is_holding:
            learn_anew()
    return judged.verdict


def standing_of(judgement: FeedJudgement | None) -> tuple[datetime | None, bool]:
    return (judgement.kept_until, judgement.is_holding) if judgement else (None, False)


def judged_now(before: FeedJudgement | None, now: datetime) -> Judged | None:
    """The verdict on a fit of everything but the newest likes, against the kept fit; None without likes."""
    log = Log()
    items = log.read_on(now - SETTLED)
    bots = list(BotMark.objects.filter(is_bot=True).values_list("buyer_id", flat=True))
    happened = log.in_rows(items.listing_ids, bots)
    kept = kept_fit(before)
    cutoff = max(happened.newest_share_begins(TESTED_SHARE), kept.until if kept else 0.0)
    if not np.isfinite(cutoff):
        return None
    past = happened.before(cutoff)
    trial = fit_feed(past, items.tags, config(bool(items.tags.nnz)))
    figures = None
    if kept:
        figures = compare(trial, model_of(kept.arrays, items), items, past, FeedQuestion.after(happened, cutoff))
    content, until = packed(trial, items.listing_ids), datetime.fromtimestamp(cutoff, UTC)
    return Judged(decide(figures), content, until, log.files)


@dataclass(frozen=True, eq=False)
class KeptFit:
    """As it is stored, and until when it had learned, epoch seconds."""

    arrays: dict[str, Array]
    until: float


def kept_fit(before: FeedJudgement | None) -> KeptFit | None:
    if before is None or before.kept_until is None:
        return None
    return KeptFit(unpacked(bytes(before.content)), before.kept_until.timestamp())


def compare(trial: FeedModel, kept: FeedModel, items: Items, past: FeedEvents, question: FeedQuestion) -> GateFigures:
    """Both on the same question, for ``gate.decide``; ``past`` is what had happened when it is asked."""
    usual = rules(bool(items.tags.nnz))
    new, live = (answers_of(model, items.tags, items.is_live, question, usual) for model in (trial, kept))
    popular = popular_lists(past, items.is_live, question)
    new_ndcg, live_ndcg, popularity = (ndcg_of(lists, question) for lists in (new.lists, live.lists, popular))
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


def ndcg_of(lists: Rows, question: FeedQuestion) -> Floats:
    """NDCG@K of each person, shape (n_people,)."""
    return metrics.ndcg_at_k(metrics.find_hits(lists, question.relevant), K)


def overrule() -> None:
    """Serve what was learned whatever the verdict; the next judgement keeps the fit of that time."""
    with fits_stand_still():
        FeedJudgement.objects.update(is_holding=False, kept_until=None, content=b"", verdict={})
        learn_anew()

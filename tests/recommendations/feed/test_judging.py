"""The gate of the feed: what was learned is served, unless it is shown to be worse than what was kept."""

from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Buyer
from recommendations.feed import judging
from recommendations.feed.fitting import refresh_fit
from recommendations.feed.judging import JudgedFit, judge_feed
from recommendations.feed.lists import LIKE, add_items, record_actions
from recommendations.models import BotMark, FeedFit, FeedJudgement
from recommendations.training.gate import Code, GateFigures, decide
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

N_ITEMS = 80
GROUPS = [[f"item-{number}" for number in range(group, N_ITEMS, 2)] for group in (0, 1)]


@pytest.fixture(name="items")
def items_of_two_groups():
    add_items({f"item-{number}": None for number in range(N_ITEMS)})


ACROSS = [[f"item-{number}" for number in range(start, start + N_ITEMS // 2)] for start in (0, N_ITEMS // 2)]


def like(people: str, n: int, days_ago: float, seed: int, groups: list[list[str]] = GROUPS, each: int = 8) -> None:
    """Some people like items of one group or of the other, every second of them."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        chosen = rng.choice(groups[number % 2], each, replace=False).tolist()
        moment = (timezone.now() - timedelta(days=days_ago)).timestamp() + number
        record_actions(f"{people}-{number}", chosen, [LIKE] * each, moment)


def fit_now() -> bool:
    FeedFit.objects.update(seconds=0)
    return refresh_fit(settled=timedelta(0))


@pytest.fixture
def learned(items, monkeypatch):
    """Two days of two groups, judged: the first fit is kept."""
    monkeypatch.setattr("recommendations.feed.judging.SETTLED", timedelta(0))
    like("regular", 90, 3, seed=1)
    like("regular", 90, 2, seed=2)
    assert judge_feed().code == Code.FIRST
    fit_now()


def attacked() -> None:
    """For a day a crowd likes together what is in neither taste; then the regular ones come back."""
    like("crowd", 150, 1, seed=3, groups=ACROSS, each=20)
    like("regular", 90, 0.2, seed=4)
    fit_now()


def test_without_likes_there_is_no_verdict(items):
    assert judge_feed() is None
    assert not FeedJudgement.objects.exists()


def test_what_is_learned_is_served_while_it_is_as_good(learned):
    like("regular", 90, 0.2, seed=3)
    verdict = judge_feed()
    kept = FeedJudgement.objects.get()
    assert (kept.is_holding, kept.verdict["code"]) == (False, verdict.code)
    assert fit_now()


def test_a_crowd_that_spoils_what_was_learned_brings_back_the_kept_fit(learned):
    attacked()
    spoiled = FeedFit.objects.get()
    verdict = judge_feed()
    judgement, fit = FeedJudgement.objects.get(), FeedFit.objects.get()
    assert (verdict.code, verdict.passed, judgement.is_holding) == (Code.WORSE, False, True)
    assert "the fit that was kept" in verdict.reason
    assert bytes(fit.content) == bytes(judgement.content) != bytes(spoiled.content)
    assert fit.number > spoiled.number  # so that every process reads it
    like("regular", 10, 0.1, seed=5)
    assert not fit_now()  # nothing more is learned meanwhile
    assert bytes(FeedFit.objects.get().content) == bytes(judgement.content)


def test_what_is_learned_is_served_again_once_the_crowd_is_out(learned):
    attacked()
    judge_feed()
    for buyer in Buyer.objects.filter(external_id__startswith="crowd-"):
        BotMark.objects.create(buyer=buyer, is_bot=True)
    judge_feed()
    assert not FeedJudgement.objects.get().is_holding
    assert fit_now()


def test_too_little_evidence_changes_nothing(learned):
    attacked()
    judge_feed()
    FeedJudgement.objects.update(kept_until=timezone.now())
    assert judge_feed().code == Code.TOO_LITTLE_EVIDENCE
    assert FeedJudgement.objects.get().is_holding


def test_an_operator_overrules_it(learned, client: Client):
    attacked()
    judge_feed()
    client.force_login(UserFactory(operator=True))
    page = reverse("admin:recommendations_feedjudgement_change", args=[FeedJudgement.ONLY])
    assert "the kept fit, what was learned since is worse" in client.get(page).text.casefold()
    client.post(
        reverse("admin:recommendations_feedjudgement_serve_what_was_learned", args=[1]), {"_form_submitted": "on"}
    )
    assert not FeedJudgement.objects.get().is_holding
    assert fit_now()
    assert judge_feed().code == Code.FIRST


SAME = np.linspace(0.1, 0.6, 60)


@pytest.mark.parametrize(
    ("figures", "is_lost", "is_better"),
    [
        ({"new": SAME + 0.1, "new_coverage": 0.4}, False, True),  # fewer items, as it knows better
        ({"popularity": SAME + 0.2}, False, False),  # so is the kept fit
        ({"new": SAME - 0.2}, True, False),
        ({"new_won": SAME - 0.3, "live_won": SAME + 0.3}, True, False),
        ({"new": SAME + np.resize([0.5, -0.52], 60), "new_won": SAME - 0.3, "live_won": SAME + 0.3}, True, False),
        ({"new": SAME + 0.1, "new_won": SAME - 0.3, "live_won": SAME + 0.3}, True, False),
        ({"new": SAME + np.resize([0.5, -0.5], 60)}, False, False),  # unclear
    ],
)
def test_only_a_shown_loss_holds_and_only_a_shown_gain_is_kept(figures, is_lost, is_better):
    usual = {"new": SAME, "live": SAME, "new_coverage": 0.5, "live_coverage": 0.5}
    judged = JudgedFit(decide(GateFigures(**{**usual, **figures})), b"", timezone.now(), ())
    assert (judged.is_lost, judged.is_better) == (is_lost, is_better)


def test_a_verdict_that_was_overruled_meanwhile_changes_nothing(learned, monkeypatch):
    attacked()
    served = bytes(FeedFit.objects.get().content)
    real = judging.judge_newest_fit

    def slowly(*args):
        found = real(*args)
        judging.overrule_judgement()
        return found

    monkeypatch.setattr(judging, "judge_newest_fit", slowly)
    assert judge_feed() is None
    assert not FeedJudgement.objects.get().is_holding
    assert bytes(FeedFit.objects.get().content) == served

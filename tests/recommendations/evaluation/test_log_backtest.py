from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.evaluation.log_backtest import LogParameters, backtest_log, price_bands
from recommendations.evaluation.outcome import OURS
from recommendations.exceptions import EvaluationRefused
from recommendations.models import Interaction, RankerVersion
from recommendations.training.runs import run_training, start_training
from tests.factories import InteractionFactory, ListingFactory, ServedListFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def parameters():
    return {"test_from": (timezone.now() - timedelta(days=20)).isoformat()}


def figure(outcome, ranker, metric="ndcg", k=10, of_slice="all"):
    return next(
        one for one in outcome.figures if (one.ranker, one.metric, one.k, one.slice) == (ranker, metric, k, of_slice)
    )


def test_ours_stands_beside_every_baseline_and_knows_who_wants_what(market, parameters):
    outcome = backtest_log(LogParameters(**parameters))
    assert set(outcome.summary["rankers"]) == {
        OURS, "taste", "popular", "recently popular", "newest in budget", "average of liked", "item-kNN", "EASE", "ALS",
        "ALS of listings",
    }  # fmt: skip
    assert (outcome.n_buyers, outcome.n_events, outcome.n_candidates) == (12, 36, 30)
    assert figure(outcome, OURS).value > figure(outcome, "popular").value
    assert figure(outcome, OURS, "archetype recall").value == 1.0


def test_several_moments_are_one_test_in_which_each_window_is_predicted_from_before_it(market, parameters):
    whole = backtest_log(LogParameters(**parameters, with_baselines=False))
    rolling = backtest_log(LogParameters(**parameters, with_baselines=False, moments=2))
    moments = rolling.summary["moments"]
    assert rolling.n_buyers == sum(one["n_buyers"] for one in moments) >= whole.n_buyers
    assert moments == sorted(moments, key=lambda one: one["moment"])
    assert rolling.moment.isoformat() == moments[0]["moment"] >= whole.moment.isoformat()
    assert figure(rolling, OURS).n == rolling.n_buyers
    with pytest.raises(EvaluationRefused, match="moments"):
        LogParameters(moments=0)


def test_slices_are_of_buyers_listings_prices_and_sellers(market, parameters):
    outcome = backtest_log(LogParameters(**parameters))
    slices = {one.slice for one in outcome.figures}
    assert {"all", "cold buyer", "known buyer", "cold listing", "known listing"} < slices
    assert any(name.startswith("price below") for name in slices)
    assert any(name.startswith("seller: ") for name in slices)
    assert figure(outcome, OURS, of_slice="cold buyer").n == 0


def test_what_came_later_changes_no_list(market, parameters):
    until = {"test_days": 15.0}
    before = backtest_log(LogParameters(**parameters, **until)).to_json()
    newcomer = ListingFactory(published_at=timezone.now() - timedelta(days=2))
    buyer = Buyer.objects.order_by("pk").first()
    for car in (newcomer, *market.bmws[:5]):
        InteractionFactory(buyer=buyer, listing=car, occurred_at=timezone.now() - timedelta(days=1))
    assert backtest_log(LogParameters(**parameters, **until)).to_json()["figures"] == before["figures"]


def test_the_same_seed_gives_the_same_figures(market, parameters):
    first, second = (backtest_log(LogParameters(**parameters, seed=4)).to_json() for _ in range(2))
    assert first == second


def test_without_a_date_the_last_share_of_the_events_is_tested(market):
    outcome = backtest_log(LogParameters(test_share=1 / 3))
    assert outcome.n_events == 36


def test_a_stored_version_is_asked_and_what_it_had_learned_from_is_reported(parameters):
    version = trained_market().version
    for number, buyer in enumerate(Buyer.objects.all()):
        InteractionFactory(buyer=buyer, listing=Listing.objects.order_by("-pk")[number], occurred_at=timezone.now())
    moment = version.created_at - timedelta(days=0.5)
    Listing.objects.update(published_at=LONG_AGO)
    first = InteractionFactory(listing=Listing.objects.first(), occurred_at=moment - timedelta(hours=1))
    assert first.pk > version.last_interaction_id
    outcome = backtest_log(LogParameters(version=version.pk, test_from=moment.isoformat()))
    assert "had learned from 80% of the events" in outcome.summary["notes"][0]


@pytest.mark.parametrize("status", ["retired", "failed"])
def test_a_version_that_is_gone_cannot_be_asked(market, parameters, status):
    version = RankerVersion.objects.create(status=status)
    with pytest.raises(EvaluationRefused, match=f"v{version.pk} is {status}"):
        backtest_log(LogParameters(version=version.pk, **parameters))


def test_a_cutoff_with_nothing_before_or_after_it_is_refused(market):
    with pytest.raises(EvaluationRefused, match="no event lies before 2026-01-01"):
        backtest_log(LogParameters(test_from=LONG_AGO.isoformat()))
    with pytest.raises(EvaluationRefused, match="no buyer acted on a car after"):
        backtest_log(LogParameters(test_from=timezone.now().isoformat()))


def test_price_bands_hold_a_third_of_the_priced_cars_each():
    prices = np.array([1_000.0, 2_000, 3_000, 4_000, 5_000, 6_000, np.nan])
    bands = price_bands(prices)
    assert list(bands) == ["price below £2,700", "price from £2,700 to £4,300", "price from £4,300"]
    assert [int(band.sum()) for band in bands.values()] == [2, 2, 2]
    assert price_bands(np.array([np.nan])) == {}
    assert list(price_bands(np.array([5_000.0, 5_000]))) == ["price below £5,000", "price from £5,000"]


def test_choices_among_what_was_shown_tell_taste_from_exposure(market, parameters):
    """Every buyer is shown a car of either kind and takes the one of their kind."""
    pairs = list(zip(market.skodas, market.bmws, strict=True))
    for number, buyer in enumerate(Buyer.objects.order_by("pk")):
        shown = pairs[14 - number]
        served = ServedListFactory(buyer=buyer, listing_ids=[car.pk for car in shown], served_at=timezone.now())
        InteractionFactory(buyer=buyer, listing=shown[number % 2], served_list=served, occurred_at=timezone.now())
    won = figure(backtest_log(LogParameters(**parameters)), OURS, "pairs won", k=0)
    assert won.value == 1.0
    assert won.n > 5


def test_without_served_lists_no_pair_was_won(market, parameters):
    assert figure(backtest_log(LogParameters(**parameters)), OURS, "pairs won", k=0).n == 0


# --- Versions side by side -------------------------------------------------------------------------------------------
def test_stored_versions_are_asked_the_same_and_led_buyer_by_buyer():
    market = trained_market()
    again = run_training(run_id=start_training(parameters={"prior_buyers": 20, "seed": 1}, promote=False).pk)
    parameters = LogParameters(
        version=market.version.pk, beside=(again.pk,), with_baselines=False, test_share=0.5, ks=(5, 10)
    )
    outcome = backtest_log(parameters)
    name = f"v{again.pk}"
    assert set(outcome.summary["rankers"]) == {OURS, name}
    own, other = figure(outcome, OURS, "recall"), figure(outcome, name, "recall")
    lead = figure(outcome, name, "lead in recall")
    assert lead.value == pytest.approx(own.value - other.value)
    assert lead.low <= lead.value <= lead.high
    assert outcome.summary["known"] == {OURS: 1.0, name: 1.0}
    assert outcome.to_json()["summary"]["parameters"]["beside"] == [again.pk]


def test_the_same_version_beside_itself_leads_by_nothing():
    market = trained_market()
    other = RankerVersion.objects.create(status="ready", last_interaction_id=0)
    artifact = market.version.artifact
    artifact.pk, artifact._state.adding = other.pk, True
    artifact.save()
    outcome = backtest_log(
        LogParameters(version=market.version.pk, beside=(other.pk,), with_baselines=False, test_share=0.5)
    )
    lead = figure(outcome, f"v{other.pk}", "lead in ndcg")
    assert (lead.value, lead.low, lead.high) == (0.0, 0.0, 0.0)
    assert outcome.summary["known"] == {OURS: 1.0, f"v{other.pk}": 0.0}


def test_a_version_trained_between_two_moments_knew_the_events_of_the_first():
    version = trained_market().version
    events = Interaction.objects.order_by("occurred_at").values_list("pk", flat=True)
    RankerVersion.objects.filter(pk=version.pk).update(last_interaction_id=events[int(0.6 * len(events))])
    asked = {"version": version.pk, "with_baselines": False, "test_share": 0.5}
    whole, rolling = (backtest_log(LogParameters(**asked, moments=moments)).summary for moments in (1, 2))
    assert len(rolling["moments"]) == 2
    assert 0 < whole["known"][OURS] < 1
    assert rolling["known"] == whole["known"]
    assert rolling["notes"][0] == whole["notes"][0]


@pytest.mark.parametrize("beside", [(3,), (4, 4)])
def test_a_version_is_not_compared_with_itself_nor_twice(beside):
    with pytest.raises(EvaluationRefused, match="others than itself, each once"):
        LogParameters(version=3, beside=beside)


def test_a_version_beside_that_cannot_be_asked_is_refused():
    market = trained_market()
    with pytest.raises(EvaluationRefused, match="v7777 is unknown"):
        backtest_log(LogParameters(version=market.version.pk, beside=(7777,), test_share=0.5))

import numpy as np
import pytest

from recommendations.engine.demand import SECONDS_A_DAY, demand_counts
from recommendations.engine.features import BuyerFeatures, ListingFeatures, Market
from recommendations.engine.score_terms import DEAL, DEMAND, DISTANCE, FRESHNESS, TERMS, UTILITY
from recommendations.engine.scoring import LinearScore
from recommendations.engine.terms import buyer_terms, market_terms, score_rows

NOW = 1_000 * SECONDS_A_DAY


class FakeNeighbours:
    """Archetype 1 is liked as much as the history is strong, archetype 0 not at all."""

    def neighbour_scores(self, codes, strengths):
        return np.array([0.0, strengths.sum()])


class FakeRanker:
    collaborative = FakeNeighbours()
    score = LinearScore.default()

    def score_for(self, *, is_personal):
        return self.score


def listing_features(**given) -> ListingFeatures:
    """Three listings: one of today, one of a week ago, one sold."""
    days = np.array([0.0, 7.0, 7.0])
    columns = {
        "vectors": np.array([[1, 0], [0, 1], [1, 1]], np.float32),
        "archetypes": np.array([0, 1, 1]),
        "published_at": NOW - days * SECONDS_A_DAY,
        "ended_at": np.array([np.inf, np.inf, NOW - SECONDS_A_DAY]),
        "deals": np.array([0.1, np.nan, 0.0]),
        "latitude": np.array([50.0, np.nan, 50.0]),
        "longitude": np.array([10.0, 10.0, 10.0]),
    }
    return ListingFeatures(**{**columns, **given})


ALL = np.arange(3)


def test_demand_counts_what_happened_before_as_of():
    got = demand_counts(
        listing_rows=[0, 0, 1, 1, 1, -1],
        occurred_at=NOW - np.array([3, 0, 3, 15, 6, 3]) * SECONDS_A_DAY,
        weights=[2, 1, 1, 1, -1, 1],
        as_of=NOW,
        n_rows=3,
        buyer_ids=[1, 2, 1, 1, 1, 1],
    )
    assert got.tolist() == [
        1.0,
        0.5,
        0.0,
    ]  # future, old and disliked ones and unknown listings do not count


def test_a_buyer_counts_once_for_each_listing_by_the_strongest_event():
    got = demand_counts(
        listing_rows=[0, 0, 0, 1], occurred_at=NOW - np.array([3, 3, 6, 3]) * SECONDS_A_DAY, weights=[2, 6, 1, 2],
        as_of=NOW, n_rows=2, buyer_ids=[1, 1, 2, 1],
    )  # fmt: skip
    assert got.tolist() == [3.25, 1.0]


def test_the_market_side_of_the_terms_is_the_same_for_every_buyer():
    market = Market.at(listing_features(), NOW, [0, 0, 0])
    terms = market_terms(market, ALL)
    assert terms[DEMAND].tolist() == [0, 0, 0]
    np.testing.assert_allclose(terms[FRESHNESS], [1, 0.5, 0.5])
    np.testing.assert_allclose(terms[DEAL], [0.1, np.nan, 0])


def test_demand_is_relative_to_the_listings_that_were_live():
    week_old = listing_features(published_at=np.full(3, NOW - 7 * SECONDS_A_DAY))
    quiet, busy = Market.at(week_old, NOW, [0, 3, 0]), Market.at(week_old, NOW, [0, 3, 500])
    assert quiet.average == busy.average > 0
    ignored, wanted = market_terms(quiet, np.array([0, 1]))[DEMAND]
    assert ignored < 0 < wanted


def test_some_rows_are_scored_as_all_are():
    market, buyer_features = (
        Market.at(listing_features(), NOW, [1, 2, 3]),
        BuyerFeatures(np.array([[1.0, 2.0]]), location=(50.0, 11.0)),
    )
    every = score_rows(FakeRanker(), market, buyer_features, ALL)
    some = score_rows(FakeRanker(), market, buyer_features, ALL[1:])
    np.testing.assert_allclose(some.parts, every.parts[1:])
    np.testing.assert_allclose(every.parts.sum(axis=1), every.scores)
    assert every.names == TERMS


def test_history_and_distance_terms_are_absent_without_history_and_location():
    silent = buyer_terms(FakeRanker(), listing_features(), BuyerFeatures(np.zeros((1, 2))), ALL)
    assert all(np.isnan(values).all() for values in silent.values())
    terms = buyer_terms(
        FakeRanker(),
        listing_features(),
        BuyerFeatures(np.zeros((1, 2)), history=([1], np.array([2.0])), location=(50.0, 10.0)),
        ALL,
    )
    assert terms["archetype"].tolist() == [0, 2, 2]
    np.testing.assert_allclose(terms[DISTANCE], [0, np.nan, 0], atol=1e-6)


def test_multi_interest_utility_is_that_of_the_interest_that_likes_the_listing_best():
    buyer_features = BuyerFeatures(np.array([[1.0, 0.0], [0.0, 5.0]]), offsets=[0.0, -4.5])
    utilities, tastes = buyer_features.utilities(listing_features().vectors)
    assert utilities.tolist() == [1.0, 0.5, 1.0]
    assert tastes.tolist() == [0, 1, 0]


def test_by_hand_with_weights_of_its_own():
    score = LinearScore((UTILITY, DEAL), [2.0, 10.0], [1.0, 0.0], [2.0, 1.0])
    with pytest.raises(ValueError, match="unknown terms"):
        score_rows(FakeRanker(), Market.at(listing_features(), NOW, [0, 0, 0]), BuyerFeatures([1.0, 2.0]), ALL, score)
    full = LinearScore.default().with_weights(dict.fromkeys(TERMS, 0.0)).with_weights({UTILITY: 2.0, DEAL: 10.0})
    got = score_rows(FakeRanker(), Market.at(listing_features(), NOW, [0, 0, 0]), BuyerFeatures([1.0, 2.0]), ALL, full)
    np.testing.assert_allclose(got.scores, [2 * 1 + 1.0, 2 * 2 + 0, 2 * 3 + 0.0])


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="demand counts"):
        Market.at(listing_features(), NOW, [0, 0])
    with pytest.raises(ValueError, match="offsets"):
        BuyerFeatures(np.zeros((2, 3)), offsets=[0.0])


def test_listing_features_can_be_sliced():
    taken = listing_features().take(np.array([2, 0]))
    assert len(taken) == 2
    assert taken.archetypes.tolist() == [1, 0]
    assert taken.vectors.tolist() == [[1, 1], [1, 0]]


def test_one_more_term_is_added_to_every_score():
    scored = score_rows(FakeRanker(), Market.at(listing_features(), NOW, [0, 0, 0]), BuyerFeatures([1.0, 2.0]), ALL)
    damped = scored.plus("crowding", np.array([0.0, -1.0, 0.0]))
    np.testing.assert_allclose(damped.scores - scored.scores, [0, -1, 0])
    np.testing.assert_allclose(damped.parts.sum(axis=1), damped.scores)
    assert damped.names == (*TERMS, "crowding")


def test_the_rate_of_an_archetype_is_that_of_its_live_listings():
    week_old = listing_features(published_at=np.full(3, NOW - 7 * SECONDS_A_DAY))
    market = Market.at(week_old, NOW, [0.0, 4.0, 900.0])  # the last one is sold
    quiet, busy = market.rates_by_archetype
    assert 0 < quiet < market.average < busy


def test_a_new_listing_is_believed_to_be_wanted_as_its_like_are():
    days = np.array([30.0, 30.0, 1.0, 1.0])
    four = listing_features(
        vectors=np.zeros((4, 2), np.float32), archetypes=np.array([0, 1, 0, 1]),
        published_at=NOW - days * SECONDS_A_DAY, ended_at=np.full(4, np.inf), deals=np.zeros(4),
        latitude=np.full(4, np.nan), longitude=np.full(4, np.nan),
    )  # fmt: skip
    market = Market.at(four, NOW, [0.0, 50.0, 0.0, 0.0])
    quiet, busy = market.draw_log_rates(np.array([2, 3]), [0.5, 0.5])
    assert quiet < busy
    low, high = market.draw_log_rates(np.array([3, 3]), [0.1, 0.9])
    assert low < busy < high

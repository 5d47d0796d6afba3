import numpy as np
import pytest

from recommendations.buyers.interests import Interest, InterestSet, is_due, log_mean_exp, update_interests, with_offsets
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.taste import Prior, Taste

# Two kinds of car, along one dimension each; one that no buyer wants; and one that is a bit of both, which a buyer with
# a single preference for vans and roadsters would like best.
VAN, ROADSTER, NEITHER, BOTH = [4.0, 0.0], [0.0, 4.0], [0.0, 0.0], [3.0, 3.0]
STOCK = np.array([VAN] * 5 + [ROADSTER] * 20 + [NEITHER] * 75, np.float32)
PRIOR = Prior(np.zeros(2), np.eye(2))


def chosen(*cars) -> ChoiceSets:
    """Each of them out of a set of all four."""
    sets = [[car, ROADSTER if car == VAN else VAN, NEITHER, BOTH] for car in cars]
    return ChoiceSets(np.array(sets, np.float32), np.zeros(len(cars), np.intp))


def divided(sets: ChoiceSets, before: InterestSet | None, n_events: int, *, is_hurried: bool = False) -> InterestSet:
    return update_interests(sets, PRIOR, STOCK, before, n_events, is_hurried=is_hurried)


def two_tastes(share: float = 0.75) -> list[tuple[float, Taste]]:
    van, roadster = Taste(np.array([2.0, -1.0]), np.eye(2) * 0.1), Taste(np.array([-1.0, 2.0]), np.eye(2) * 0.2)
    return [(share, van), (1 - share, roadster)]


def test_multiple_interests_are_found_when_they_are_due():
    interest_set = divided(chosen(*[VAN] * 12, *[ROADSTER] * 12), None, 24)
    assert len(interest_set.interests) == 2
    assert interest_set.fitted_at == 24
    likes = [interest.taste.mean @ np.array([VAN, ROADSTER]).T for interest in interest_set.interests]
    assert {int(like.argmax()) for like in likes} == {0, 1}


def test_one_preference_is_no_multi_interest():
    interest_set = divided(chosen(*[VAN] * 24), None, 24)
    assert interest_set.interests == ()
    assert interest_set.fitted_at == 24


@pytest.mark.parametrize(
    ("before", "n_events", "is_hurried", "expected"),
    [
        (None, 9, False, False),  # too little to ask about
        (None, 10, False, True),
        (InterestSet(fitted_at=20), 27, False, False),
        (InterestSet(fitted_at=20), 28, False, True),
        (None, 500, True, False),  # right after a promotion: every buyer is new to the space
        (InterestSet(), 19, True, False),
        (InterestSet(), 20, True, True),
        (InterestSet(fitted_at=20), 39, True, False),
        (InterestSet(fitted_at=20), 40, True, True),
    ],
)
def test_how_many_there_are_is_asked_as_the_log_grows(before, n_events, is_hurried, expected):
    assert is_due(before, n_events, is_hurried=is_hurried) is expected


def test_in_between_each_event_counts_for_the_taste_that_explains_it():
    interest_set = divided(chosen(*[VAN] * 12, *[ROADSTER] * 12), None, 24)
    later = divided(chosen(*[VAN] * 12, *[ROADSTER] * 18), interest_set, 30)
    assert later.fitted_at == 24
    shares = sorted(interest.share for interest in later.interests)
    np.testing.assert_allclose(shares, [12 / 30, 18 / 30])
    assert later.interests[0].taste.mean @ ROADSTER > later.interests[0].taste.mean @ VAN


def test_a_preference_without_evidence_is_given_up():
    interest_set = divided(chosen(*[VAN] * 12, *[ROADSTER] * 12), None, 24)
    assert divided(chosen(*[VAN] * 24), interest_set, 25).interests == ()


def test_offsets_make_the_choice_share_of_each_interest_its_stated_share():
    """By sampling: which interest does the best car, with the noise of a logit on its utility, belong to?"""
    interests = with_offsets(two_tastes(0.75), STOCK)
    rng = np.random.default_rng(0)
    by_taste = np.stack([STOCK @ interest.taste.mean + interest.offset for interest in interests])
    noisy = by_taste[None] + rng.gumbel(size=(20_000, *by_taste.shape))
    winners = noisy.max(axis=2).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(winners) / len(winners), [0.75, 0.25], atol=0.01)


def test_the_largest_taste_comes_first_and_needs_no_offset():
    interests = with_offsets(two_tastes(0.2), STOCK)
    assert [interest.share for interest in interests] == [0.8, 0.2]
    assert interests[0].offset == 0.0
    assert with_offsets(two_tastes()[:1], STOCK) == ()


def test_a_multi_interest_buyer_survives_storage():
    interest_set = InterestSet(with_offsets(two_tastes(), STOCK), 24)
    again = InterestSet.unpack(interest_set.pack(), 2)
    assert again.fitted_at == 24
    for one, other in zip(again.interests, interest_set.interests, strict=True):
        np.testing.assert_allclose(one.share, other.share)
        np.testing.assert_allclose(one.offset, other.offset, rtol=1e-6)
        np.testing.assert_allclose(one.taste.mean, other.taste.mean)
        np.testing.assert_allclose(one.taste.covariance, other.taste.covariance, rtol=1e-6)


@pytest.mark.parametrize("content", [b"", b"\x07\x02\x00\x00\x00\x00", InterestSet().pack()])
def test_unreadable_content_is_an_empty_multi_interest_buyer(content):
    assert InterestSet.unpack(content, 2) == InterestSet() or not InterestSet.unpack(content, 2).interests


def test_an_empty_history_and_an_empty_stock_are_no_trouble():
    assert divided(ChoiceSets.empty(2), None, 12).interests == ()
    interests = with_offsets(two_tastes(), np.empty((0, 2), np.float32))
    assert np.isfinite([interest.offset for interest in interests]).all()
    assert isinstance(interests[0], Interest)


def test_the_mean_of_exponentials_does_not_overflow():
    np.testing.assert_allclose(log_mean_exp(np.array([0.0, np.log(3.0)])), np.log(2.0))
    assert log_mean_exp(np.array([5_000.0])) == 5_000.0
    assert log_mean_exp(np.empty(0)) == 0.0

"""What a search decides of a list beside the preference, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Buyer
from recommendations.buyers.wishes import FRESH_SEARCH, MEANT_IN, SEARCHED, Asked, LoggedEvent, meant_in, wishes_of
from recommendations.listings.index import borrow_index
from tests.markets import trained_market

NOW = datetime(2026, 7, 1, tzinfo=UTC)
EVENING = timedelta(hours=12)


def searches(*queries):
    """One search each evening, the newest first, as what a buyer did is read."""
    times = [NOW - EVENING * number for number in range(1, len(queries) + 1)]
    return [LoggedEvent(None, 1.0, at, query) for at, query in zip(times, reversed(queries), strict=True)]


def test_a_condition_is_meant_that_one_search_after_the_other_has():
    automatic = {"gearboxes": ["automatic"]}
    ranges = [{"min_price": 1_000 * number, "max_price": 9_000} for number in (1, 2, 3)]
    assert len(ranges) == MEANT_IN
    assert meant_in(searches(*(automatic | one for one in ranges))) == automatic
    assert meant_in(searches(automatic, {"fuels": ["diesel"]}, automatic)) == {}
    assert meant_in(searches(automatic, automatic)) == {}
    assert meant_in([]) == {}


def test_searches_within_one_session_are_one_occasion():
    query = {"fuels": ["diesel"]}
    in_a_row = [LoggedEvent(None, 1.0, NOW - timedelta(minutes=number), query) for number in range(MEANT_IN)]
    assert meant_in(in_a_row) == {}
    evening = [LoggedEvent(None, 1.0, NOW - timedelta(minutes=20 * number), query) for number in range(3 * MEANT_IN)]
    assert meant_in(evening) == {}, "two and a half hours without half an hour of silence"
    with_cars = [LoggedEvent(None if number % 2 else 7, 1.0, event.occurred_at, query if number % 2 else None)
                 for number, event in enumerate(evening)]  # fmt: skip
    assert meant_in(with_cars) == {}, "cars that were looked at in between are no silence"
    assert meant_in(in_a_row + [LoggedEvent(None, 1.0, NOW - EVENING * number, query) for number in (1, 2)]) == query


@pytest.mark.django_db
def test_the_more_cars_a_buyer_has_opened_the_less_a_search_decides_and_what_is_meant_holds():
    trained_market()
    query = {"makes": ["bmw"]}
    with borrow_index() as index:
        is_bmw = index.columns.codes("make") == index.columns.levels("make").index("bmw")
        cars = index.stock.listing_ids[is_bmw][:3].tolist()
        opened = [LoggedEvent(key, 1.0, NOW - 9 * EVENING, None) for key in cars]

        def share(searched, n_opened):
            wishes = wishes_of(Buyer(), index, Asked((*searched, *opened[:n_opened]), None, None, NOW))
            return max((wish.share for wish in wishes), default=0.0)

        once, again = searches(query), searches(*[query] * MEANT_IN)
        assert share(once, 0) == SEARCHED
        assert share(once, 1) == pytest.approx(SEARCHED * 2 / 3)
        assert share(once, 3) == 0
        assert share(again, 3) == SEARCHED
        just_now = [LoggedEvent(None, 1.0, NOW - timedelta(minutes=5), query)]
        assert share(just_now, 0) == SEARCHED
        assert share(just_now, 3) == pytest.approx(SEARCHED * FRESH_SEARCH)
        found = [LoggedEvent(key, 1.0, NOW, None) for key in cars]
        wishes = wishes_of(Buyer(), index, Asked((*found, *once), None, None, NOW))
        assert max(wish.share for wish in wishes) == SEARCHED  # opened since, and as they were asked for

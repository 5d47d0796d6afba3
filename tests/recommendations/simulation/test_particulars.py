from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from catalog.attributes import BY_NAME, is_month, year_and_month
from recommendations.simulation.market import build_market
from recommendations.simulation.particulars import draw_particulars

ANCHOR = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def market():
    return build_market(3000, 11, ANCHOR.year)


def test_a_seed_says_the_same_of_a_car_however_many_there_are(market):
    whole = draw_particulars(market, 11, ANCHOR)
    part = draw_particulars(market.take(slice(0, 700)), 11, ANCHOR)
    assert list(part.condition) == list(whole.condition[:700])
    assert list(part.damage) == list(whole.damage[:700])
    assert part.first_registration == whole.first_registration[:700]
    assert whole.first_registration != draw_particulars(market, 12, ANCHOR).first_registration


def test_what_is_said_is_a_value_of_its_attribute_and_few_cars_are_damaged(market):
    said = draw_particulars(market, 11, ANCHOR)
    for name in ("condition", "damage"):
        assert set(getattr(said, name)) <= {choice.value for choice in BY_NAME[name].choices} | {""}
    share = Counter(said.damage)
    assert 0.01 < 1 - (share["none"] + share[""]) / len(market) < 0.05
    assert Counter(said.condition)["used"] > 0.8 * len(market)
    recent = market.table.year[said.condition == "demo"]
    assert len(recent) > 10
    assert recent.min() >= ANCHOR.year - 1


def test_a_car_is_registered_in_its_year_and_before_it_is_advertised(market):
    said = draw_particulars(market, 11, ANCHOR)
    known = [(row, month) for row, month in enumerate(said.first_registration) if month is not None]
    assert len(known) > 0.8 * len(market)
    for row, month in known:
        published = ANCHOR - timedelta(seconds=int(market.published_s[row]))
        assert is_month(month)
        assert year_and_month(month)[0] == market.table.year[row]
        assert month <= 100 * published.year + published.month
    assert np.bincount([month % 100 for _, month in known], minlength=13)[1:].min() > 100

"""Cars that cost far more or less than the live ranker expects of such a car."""

import pytest

from catalog.models import Listing
from catalog.quality import odd_prices
from recommendations.listings import odd_prices as module
from recommendations.listings.odd_prices import oddly_priced
from recommendations.models import RankerVersion
from recommendations.simulation.seeding import seed_marketplace
from recommendations.training.runs import run_training, start_training

pytestmark = pytest.mark.django_db


def test_without_a_ranker_the_answer_is_unknown():
    assert oddly_priced(3) is None


def test_a_version_that_cannot_be_loaded_is_no_ranker():
    RankerVersion.objects.create(status="live")
    assert oddly_priced(3) is None


def test_a_car_at_ten_times_its_price_is_found_and_one_at_a_tenth(monkeypatch):
    seed_marketplace(400, 20, 400, seed=11)
    run_training(run_id=start_training().pk)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 150)
    usual = set(oddly_priced(3) or [])
    overpriced, cheap, unknown = [listing for listing in Listing.objects.available() if listing.pk not in usual][:3]
    Listing.objects.filter(pk=overpriced.pk).update(price=overpriced.price * 10)
    Listing.objects.filter(pk=cheap.pk).update(price=cheap.price / 10)
    Listing.objects.filter(pk=unknown.pk).update(price=None)
    found = oddly_priced(3)
    assert set(found) - usual == {overpriced.pk, cheap.pk}
    assert found == sorted(found)
    assert odd_prices(None) == found  # the report asks the same

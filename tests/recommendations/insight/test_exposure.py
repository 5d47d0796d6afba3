from datetime import timedelta

import pytest
from django.utils import timezone

from recommendations.insight.exposure import PRIOR_SHOWS, exposure_of, ratio_interval, usual_rates
from recommendations.models import EventKind
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cars():
    return ListingFactory.create_batch(3)


def shown(*cars, sources=None, hours_ago: float = 5.0):
    return ServedListFactory(
        buyer=BuyerFactory(), served_at=timezone.now() - timedelta(hours=hours_ago),
        listing_ids=[car.pk for car in cars], scores=[0.0] * len(cars), sources=sources or ["taste"] * len(cars),
    )  # fmt: skip


def opened(served, car, kind: str = "view") -> None:
    InteractionFactory(
        served_list=served, buyer=served.buyer, listing=car, kind=EventKind.objects.get(slug=kind),
        occurred_at=served.served_at, position=served.listing_ids.index(car.pk) + 1,
    )  # fmt: skip


def test_impressions_and_their_effects_are_reported_by_position_and_source(cars):
    one, two, three = cars
    first = shown(one, two, sources=["taste", "fresh"])
    second = shown(two, one, sources=["taste", "trending"])
    shown(three, hours_ago=6)
    opened(first, one)
    opened(first, one)  # opened twice from one list is opened once
    opened(second, one, "contact")
    opened(second, two, "hide")  # a choice against is no click
    exposure = exposure_of(one.pk)
    assert [(p.label, p.n_shown, p.n_clicked, p.n_contacted) for p in exposure.positions] == [
        ("1", 1, 1, 0),
        ("2", 1, 1, 1),
    ]
    assert {(s.label, s.n_shown, s.n_clicked) for s in exposure.sources} == {("taste", 1, 1), ("trending", 1, 1)}
    assert (exposure.total.n_shown, exposure.total.n_clicked, exposure.total.n_contacted) == (2, 2, 1)
    assert exposure_of(two.pk).total.n_clicked == 0


def test_what_is_expected_is_what_its_places_usually_get(cars):
    one, two, _ = cars
    for _ in range(4):
        opened(shown(one, two), one)
    # place 1 was opened in 4 of 4 lists, place 2 in none; overall 4 of 8
    rates = usual_rates()
    assert rates[0] == 0.5
    assert rates[1] == pytest.approx((4 + PRIOR_SHOWS / 2) / (4 + PRIOR_SHOWS))
    assert rates[2] == pytest.approx((PRIOR_SHOWS / 2) / (4 + PRIOR_SHOWS))
    assert exposure_of(two.pk).total.n_expected == pytest.approx(4 * rates[2])
    assert exposure_of(one.pk).total.n_expected == pytest.approx(4 * rates[1])


def test_lists_too_old_or_too_new_do_not_count(cars):
    one, _, _ = cars
    opened(shown(one, hours_ago=24 * 40), one)
    shown(one, hours_ago=0.1)
    assert exposure_of(one.pk).total.n_shown == 1
    assert exposure_of(one.pk).total.n_clicked == 0
    assert usual_rates()[0] == 1.0  # the list of a second ago may yet be clicked on


def test_a_car_that_was_never_shown_has_no_figures(cars):
    exposure = exposure_of(cars[0].pk)
    assert (exposure.total.n_shown, exposure.positions, exposure.sources) == (0, (), ())
    assert (exposure.low, exposure.high) == (0.0, float("inf"))


def test_the_interval_of_a_ratio_is_that_of_a_poisson_count():
    assert ratio_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)  # -log(0.025)
    assert ratio_interval(10, 5.0) == pytest.approx((4.795 / 5, 18.39 / 5), abs=1e-3)

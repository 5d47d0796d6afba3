"""The page of a car: what it shows, to whom, and at what price in queries."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.models import Listing, PriceChange
from recommendations.buyers.refresh import refresh_preferences
from recommendations.insight.price_history import price_history_of
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory, UserFactory
from tests.markets import remove_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
QUERIES = 40


@pytest.fixture
def market(market_of_module):
    return market_of_module


def page_of(listing) -> str:
    return reverse("admin:catalog_listing_demand", args=[listing.pk])


def shown(buyer, *cars) -> None:
    served = ServedListFactory(
        buyer=buyer, served_at=timezone.now() - timedelta(hours=3), listing_ids=[car.pk for car in cars],
        scores=[0.0] * len(cars), sources=["taste"] * len(cars),
    )  # fmt: skip
    InteractionFactory(buyer=buyer, listing=cars[0], served_list=served, position=1, occurred_at=timezone.now())


def test_it_shows_who_wants_it_how_it_does_and_what_it_costs(operator: Client, market):
    fan = BuyerFactory()
    shown(fan, *market.bmws[:4])
    refresh_preferences(buyer_id=fan.pk)
    car = market.bmws[0]
    PriceChange.objects.create(listing=car, old_price=Decimal(31_000), new_price=car.price, currency="GBP")
    page = operator.get(page_of(car))
    assert page.status_code == 200
    assert str(fan) in page.text
    assert reverse("admin:accounts_buyer_lab", args=[fan.pk]) in page.text
    assert "Place 1: opened in 1 of 1 lists, 100.0%" in page.text
    assert "such a car:" in page.text
    assert "up to date" in page.text
    assert len(page.context["similar"]) == 8


def test_the_cars_own_page_leads_to_it(operator: Client, market):
    car = market.bmws[0]
    assert "Who wants it" in operator.get(reverse("admin:catalog_listing_change", args=[car.pk])).text
    assert operator.get(reverse("admin:catalog_listing_open_demand", args=[car.pk])).url == page_of(car)


def test_nothing_known_is_said_with_what_to_do(operator: Client):
    page = operator.get(page_of(ListingFactory(draft=True, bare=True)))
    assert page.status_code == 200
    assert "No buyer can be asked yet" in page.text
    assert "No list of the last 30 days held it" in page.text
    assert "Set a price" in page.text


def test_only_who_may_see_every_row_on_it_opens_it(client: Client, market):
    person = UserFactory(is_staff=True)
    client.force_login(person)
    views = Permission.objects.filter(codename__startswith="view_")
    for missing in ("view_listing", "view_buyer", "view_servedlist", "view_interaction", "view_preference"):
        person.user_permissions.set(views.exclude(codename=missing))
        assert client.get(page_of(market.bmws[0])).status_code == 403
    person.user_permissions.set(views)
    assert client.get(page_of(market.bmws[0])).status_code == 200


def test_an_unknown_car_is_a_page_not_found(operator: Client):
    assert operator.get(reverse("admin:catalog_listing_demand", args=[10**9])).status_code == 404


def test_more_buyers_lists_and_events_cost_no_more_queries(operator: Client, market, django_assert_max_num_queries):
    for number in range(2):
        buyer = BuyerFactory()
        shown(buyer, *market.bmws[number:])
        refresh_preferences(buyer_id=buyer.pk)
    operator.get(page_of(market.bmws[1]))
    with django_assert_max_num_queries(QUERIES) as few:
        operator.get(page_of(market.bmws[1]))
    for number in range(6):
        buyer = BuyerFactory()
        shown(buyer, *market.bmws[number:])
        view(buyer, *market.skodas)
        refresh_preferences(buyer_id=buyer.pk)
    with django_assert_max_num_queries(QUERIES) as many:
        operator.get(page_of(market.bmws[1]))
    assert len(many) <= len(few) + 2


def test_a_price_history_begins_with_the_first_price_and_keeps_the_order():
    remove_market()
    began = timezone.now() - timedelta(days=9)
    listing = ListingFactory(price=8_000, published_at=began)
    for day, old, new in ((2, 9_000, 8_500), (5, 8_500, 8_000)):
        moment = began + timedelta(days=day)
        PriceChange.objects.create(listing=listing, old_price=old, new_price=new, currency="GBP", changed_at=moment)
    history = price_history_of(listing)
    assert [price for _, price in history.steps] == [9_000, 8_500, 8_000]
    assert history.steps[0][0] == began
    assert history.typical is None


def test_a_car_in_another_currency_is_compared_in_its_own(market, settings):
    settings.EXCHANGE_RATES = {"EUR": 0.8}
    car = market.bmws[0]
    at_home = price_history_of(Listing.objects.with_card_data().get(pk=car.pk)).typical
    Listing.objects.filter(pk=car.pk).update(currency="EUR")
    abroad = price_history_of(Listing.objects.with_card_data().get(pk=car.pk)).typical
    assert abroad == pytest.approx(at_home / 0.8, rel=1e-6)

"""Every search box over names finds all the words, in any order, wherever they begin in a name."""

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts.models import Buyer, User
from catalog.models import CarModel, Listing, Make, Seller
from recommendations.models import EventKind, MerchandisingRule, Placement
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, MakeFactory, SellerFactory, UserFactory

pytestmark = pytest.mark.django_db
HOSTILE = ["'", '"', "\\", "(", "a(b", "[", "*", "\0", "\ud800", "%", "_", "(?i)", "\\m", "x" * 500, "ř", "{3}"]


def found(client, model, typed: str) -> set[int]:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return {row.pk for row in client.get(url, {"q": typed}).context["cl"].queryset}


@pytest.fixture
def operator(client):
    client.force_login(UserFactory(operator=True, email="op@example.com", first_name="Op", last_name="Erator"))
    return client


def rows() -> list[tuple[object, list[str], list[str]]]:
    """A row of each kind with a name, what finds it, and what does not."""
    rover = CarModelFactory(make=MakeFactory(name="Land Rover"), name="Range Rover Evoque")
    person = UserFactory(email="x@example.com", first_name="Anna Maria", last_name="von Berg")
    user_words = ["berg anna", "maria", "Maria von", "x@exam", "ANNA"]
    return [
        (rover.make, ["Land Rover", "rover land", "rover", "LAND", "land-rover"], ["drover", "land bmw", "over"]),
        (rover, ["evoque rover", "land evoque", "range land rover"], ["evoque bmw"]),
        (SellerFactory(name="Autohaus Nord (Kiel)", place="Bad Bramstedt"),
         ["nord autohaus", "(Kiel)", "kiel bramstedt"], ["aus"]),
        (ListingFactory(car_model=rover, title="Evoque, one owner"),
         ["rover owner", "owner land evoque"], ["rover bmw"]),
        (person, user_words, ["erg", "anna smith"]),
        (BuyerFactory(user=person), user_words, ["anna smith"]),
        (Placement.objects.create(slug="foot", name="Foot of a search"), ["search foot"], ["search top"]),
        (EventKind.objects.create(slug="call", name="Phone call back", weight=1, half_life_days=1),
         ["back phone"], ["ack"]),
        (MerchandisingRule.objects.create(name="Summer sale of EVs", action="hide"), ["evs summer"], ["winter"]),
    ]  # fmt: skip


def test_all_words_in_any_order_over_all_names(operator):
    for row, finding, missing in rows():
        for typed in finding:
            assert row.pk in found(operator, type(row), typed), (row, typed)
        for typed in missing:
            assert row.pk not in found(operator, type(row), typed), (row, typed)


def test_nothing_that_is_typed_is_an_error(operator):
    for model in (Make, CarModel, Seller, Listing, User, Buyer, Placement, EventKind, MerchandisingRule):
        for typed in HOSTILE:
            found(operator, model, typed.encode(errors="replace").decode())


def test_no_search_box_over_a_name_asks_for_its_beginning_alone():
    for model, pages in admin.site._registry.items():
        for field in pages.search_fields:
            column, _, lookup = field.partition("__")
            assert not (column in ("name", "first_name", "last_name") and lookup == "istartswith"), (model, field)


def test_the_page_of_a_buyer_is_headed_by_the_name(operator):
    buyer = BuyerFactory(user__first_name="Anna", user__last_name="Berg")
    page = operator.get(reverse("admin:accounts_buyer_change", args=[buyer.pk])).text
    assert f"Anna Berg · {buyer.user.email}" in page

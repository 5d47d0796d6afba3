"""The page of the lab: who may open it, what it says, and what it answers to bad switches."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recommendations.buyers.refresh import refresh_preferences
from recommendations.models import Interaction
from tests.factories import BuyerFactory, UserFactory
from tests.markets import remove_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
QUERIES = 60  # two thirds of them each a row or two by key; none grows with the list, the history or the stock


@pytest.fixture
def market(market_of_module):
    return market_of_module


@pytest.fixture
def fan(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    refresh_preferences(buyer_id=buyer.pk)
    return buyer


def lab_of(buyer, **asked) -> str:
    return reverse("admin:accounts_buyer_lab", args=[buyer.pk], query=asked or None)


def test_it_shows_list_reasons_taste_and_history(operator: Client, fan):
    page = operator.get(lab_of(fan))
    assert page.status_code == 200
    items = page.context["answer"].recommended.items
    assert len(items) == 20
    for item in items:
        assert item.reason.replace("'", "&#x27;") in page.text
        assert f"Score of place {item.position}: {item.score:.3f}" in page.text
    assert "Learned preference" in page.text
    assert "Utility over price, with its 95 % band" in page.text
    assert page.text.count("<td>Opened the page</td>") == 4


def test_the_buyers_own_page_leads_to_it(operator: Client, fan):
    assert "Open the lab" in operator.get(reverse("admin:accounts_buyer_change", args=[fan.pk])).text
    button = operator.get(reverse("admin:accounts_buyer_open_lab", args=[fan.pk]))
    assert button.url == lab_of(fan)


def test_hypothetical_events_are_read_from_the_link_and_shown_side_by_side(operator: Client, market, fan):
    words = "skoda octavia"
    page = operator.get(lab_of(fan, kind_1="contact", car_1=str(market.skodas[0].pk), kind_2="view", car_2=words))
    assert "How the list moves" in page.text
    assert page.context["answer"].recommended.n_events == 6
    assert "taken for Skoda Octavia" in page.text
    assert Interaction.objects.filter(buyer=fan).count() == 4


def test_every_car_of_the_list_offers_what_ifs(operator: Client, fan):
    row = operator.get(lab_of(fan)).context["rows"][0]
    names = [name for name, _ in row.what_ifs]
    assert names == ["Contacted the seller", "Opened the page", "Disliked"]
    assert "How the list moves" in operator.get(lab_of(fan) + row.what_ifs[0][1]).text


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"moment": "2099-01-01T10:00"}, "has yet to come"),
        ({"moment": "2020-01-01T10:00"}, "; choose a later moment."),
        ({"kind_1": "view"}, "Say a car or a search too"),
        ({"car_1": "5"}, "Say what the buyer did too"),
        ({"kind_1": "view", "car_1": "no such car"}, "No car is found by “no such car”"),
        ({"kind_1": "view", "car_1": "9" * 30}, "No car is found by"),
        ({"latitude": "50"}, "longitude, radius is missing"),
        ({"k": "0"}, "greater than or equal to 1"),
        ({"version": "12345"}, "12345 is not one of the available choices"),
    ],
)
def test_a_switch_that_makes_no_sense_is_reported_beside_its_field(operator: Client, fan, asked, message):
    page = operator.get(lab_of(fan, **asked))
    assert page.status_code == 200
    assert message in page.text
    assert "answer" not in page.context


def test_the_past_is_asked_by_a_link_too(operator: Client, fan):
    yesterday = timezone.localtime() - timedelta(days=1)
    page = operator.get(lab_of(fan, moment=f"{yesterday:%Y-%m-%dT%H:%M}"))
    assert page.context["answer"].recommended.n_events == 0
    assert "the list of a new visitor" in page.text


def test_without_a_ranker_it_says_what_to_do(operator: Client):
    remove_market()
    page = operator.get(lab_of(BuyerFactory()))
    assert "no ranker version is live yet; train one first" in page.text


def test_a_buyer_without_history_gets_the_list_of_a_cold_buyer(operator: Client, market):
    page = operator.get(lab_of(BuyerFactory()))
    assert "nothing is known of this buyer" in page.text
    assert "No event yet" in page.text


def test_filters_nothing_matches_leave_an_empty_list_that_says_so(operator: Client, fan):
    assert "No car for sale matches" in operator.get(lab_of(fan, max_price="1")).text


def test_only_who_may_see_every_row_on_it_opens_it(client: Client, fan):
    person = UserFactory(is_staff=True)
    client.force_login(person)
    assert client.get(lab_of(fan)).status_code == 403
    views = Permission.objects.filter(codename__startswith="view_")
    person.user_permissions.set(views.exclude(codename="view_interaction"))
    assert client.get(lab_of(fan)).status_code == 403
    person.user_permissions.set(views)
    assert client.get(lab_of(fan)).status_code == 200
    client.logout()
    assert client.get(lab_of(fan)).status_code == 302
    assert client.get(lab_of(BuyerFactory())).status_code == 302


def test_an_unknown_buyer_is_a_page_not_found(operator: Client, fan):
    assert operator.get(reverse("admin:accounts_buyer_lab", args=[10**9])).status_code == 404


def test_a_longer_list_and_history_cost_no_more_queries(operator: Client, market, fan, django_assert_max_num_queries):
    operator.get(lab_of(fan))
    with django_assert_max_num_queries(QUERIES) as few:
        operator.get(lab_of(fan, k="5"))
    view(fan, *market.bmws, *market.skodas, *market.bmws)
    with django_assert_max_num_queries(QUERIES) as many:
        operator.get(lab_of(fan, k="30"))
    assert len(many) <= len(few) + 4

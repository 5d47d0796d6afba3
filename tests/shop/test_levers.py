"""What staff do from a card for every visitor: pin, hide, boost, sold and why; and each taken back."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from recommendations.models import MerchandisingChange, MerchandisingRule
from shop.levers import DEEDS, LEVERS
from tests.factories import ListingFactory, UserFactory, user_of_role
from tests.markets import Market, make_market, trained_market

pytestmark = pytest.mark.django_db
SHOP, ACT = reverse("shop"), reverse("shop-act")
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO_MODE = True
    settings.SERVED_LIST_THREAD = False


@pytest.fixture
def market(db) -> Market:
    return make_market(4)


def shown(client: Client) -> list[int]:
    return [int(key) for key in re.findall(r'data-card="(\d+)"', client.get(SHOP).text)]


def press(client: Client, deed: str, listing_id: int, **headers: str) -> str:
    sent = {"act": f"{deed} {listing_id} - 0", "back": ""}
    return client.post(ACT, sent, headers=headers or HTMX, follow=True).text


@pytest.mark.parametrize("with_htmx", [True, False])
@pytest.mark.parametrize("name", list(LEVERS))
def test_a_lever_holds_for_every_visitor_until_it_is_taken_back(operator, market, name, with_htmx):
    lever, visitor = LEVERS[name], Client()
    before = shown(visitor)
    car = before[-1]
    headers = {} if with_htmx else {"X-Plain": "1"}
    said = press(operator, name, car, **headers)
    assert lever.done.partition("%(percent)")[0].replace("%(car)s", "") in said
    assert f'name="act" value="{lever.off} {car}"' in said  # undo
    assert lever.label_off in operator.get(SHOP).text or name == "bar"
    after = shown(visitor)
    expected = {"pin": after[:1] == [car], "bar": car not in after, "boost": car in after}
    assert expected[name]
    rule = MerchandisingRule.objects.get()
    assert (rule.is_active, rule.action, list(rule.listings.values_list("pk", flat=True))) == (
        True, lever.values["action"], [car],
    )  # fmt: skip
    assert lever.undone.replace("%(car)s", "") in press(operator, lever.off, car, **headers)
    rule.refresh_from_db()
    assert not rule.is_active
    assert set(shown(visitor)) == set(before)
    assert MerchandisingChange.objects.filter(rule=rule).count() == 2
    entries = AuditEntry.objects.filter(model="recommendations.merchandisingrule").order_by("pk")
    assert [entry.action for entry in entries] == ["added", "changed"]
    press(operator, name, car)
    assert MerchandisingRule.objects.count() == 1  # the same rule again


def test_pressing_twice_changes_nothing_more(operator, market):
    car = shown(operator)[0]
    press(operator, "boost", car)
    assert "Nothing changed" in press(operator, "boost", car)
    press(operator, "unboost", car)
    assert "Nothing changed" in press(operator, "unboost", car)
    assert MerchandisingChange.objects.count() == 2


def test_a_rule_that_was_changed_in_the_console_is_about_that_car_again(operator, market):
    car, other = shown(operator)[:2]
    press(operator, "bar", car)
    rule = MerchandisingRule.objects.get()
    rule.listings.set([other])
    changed = {"target": {"makes": ["bmw"]}, "holdout": 50, "is_promoted": True, "priority": 3, "share": 10,
               "strength": 7, "position": 4, "n_pinned": 9, "interest": {"makes": ["bmw"]}, "audience": "interested",
               "ends_at": "2099-01-01T00:00Z"}  # fmt: skip
    as_made = {name: getattr(rule, name) for name in changed}
    MerchandisingRule.objects.update(is_active=False, **changed)
    press(operator, "bar", car)
    rule.refresh_from_db()
    assert rule.is_active
    assert {name: getattr(rule, name) for name in changed} == as_made
    assert list(rule.listings.values_list("pk", flat=True)) == [car]


def test_a_sale_is_taken_back_with_the_time_of_publication(operator, market):
    car = market.bmws[0]
    said = press(operator, "sold", car.pk)
    assert f'value="unsold {car.pk}"' in said
    car.refresh_from_db()
    assert car.status == "sold"
    published = car.published_at
    assert "is for sale again" in press(operator, "unsold", car.pk)
    car.refresh_from_db()
    assert (car.status, car.published_at) == ("live", published)
    assert AuditEntry.objects.filter(model="catalog.listing").count() == 2


@pytest.mark.parametrize("who", ["a visitor", "a viewer", "one who may change listings alone"])
@pytest.mark.parametrize("deed", sorted(DEEDS))
def test_who_may_not_does_not(client, market, who, deed):
    may_sell = who.startswith("one who")
    if who != "a visitor":
        person = user_of_role("Viewer")
        if may_sell:
            person.user_permissions.add(Permission.objects.get(codename="change_listing"))
        client.force_login(person)
    car = market.bmws[0]
    page = client.get(SHOP).text
    offered = set(re.findall(rf'value="(\w+) {car.pk} ', page)) & DEEDS
    assert offered == ({"sold"} if may_sell else set())
    press(client, deed, car.pk)
    car.refresh_from_db()
    assert car.status == ("sold" if may_sell and deed == "sold" else "live")
    assert not MerchandisingRule.objects.exists()


def test_every_card_says_why_it_is_there_and_leads_on(operator, market):
    for query in ("", "?ordering=price"):
        page = operator.get(f"{SHOP}{query}").text
        cards = re.findall(r'<li class="card".*?</li>', page, re.DOTALL)
        assert cards
        for card in cards:
            assert "<summary>Why" in card
            assert all(f'value="{name} ' in card for name in (*LEVERS, "sold"))


@pytest.mark.parametrize("with_htmx", [True, False])
def test_a_similar_car_has_its_levers_and_the_page_stays_that_of_the_car(operator, with_htmx):
    market = trained_market(4)
    car = market.bmws[0]
    page = operator.get(reverse("shop-car", args=[car.pk])).text
    similar = page[page.index("similar-title") :]
    keys = [int(key) for key in re.findall(r'value="pin (\d+) ', similar)]
    assert len(keys) == len(set(keys)) == similar.count("<summary>Why") > 2
    assert all(f'value="{name} {key} ' in similar for key in keys for name in (*LEVERS, "sold"))
    assert len(re.findall(r' id="([^"]+)"', page)) == len(set(re.findall(r' id="([^"]+)"', page)))
    sent = {"act": f"boost {keys[0]} - 0", "back": "", "open_car": str(car.pk)}
    said = operator.post(ACT, sent, headers=HTMX if with_htmx else {}, follow=True).text
    assert " is boosted by 50%" in said
    assert re.search(rf'id="car-title"[^>]*>{car.name}<', said)
    assert f'value="unboost {keys[0]} ' in said
    assert "similar-title" not in Client().get(SHOP).text
    assert 'value="pin ' not in Client().get(reverse("shop-car", args=[car.pk])).text


@pytest.mark.parametrize("with_htmx", [True, False])
def test_a_page_from_before_an_upgrade_leads_to_the_list_and_not_to_car_number_one(operator, market, with_htmx):
    ListingFactory(pk=1, car_model=market.bmws[0].car_model, title="The first one")
    sent = {"act": f"like {market.bmws[0].pk} - 0", "back": "", "in_car": "1"}
    answer = operator.post(ACT, sent, headers=HTMX if with_htmx else {}, follow=True)
    assert answer.status_code == 200
    assert "data-card" in answer.text
    assert 'id="car-title"' not in answer.text


def test_a_lever_needs_the_token_of_its_page(market):
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(UserFactory(operator=True))
    assert careful.post(ACT, {"act": f"pin {market.bmws[0].pk} - 0"}).status_code == 403
    assert not MerchandisingRule.objects.exists()

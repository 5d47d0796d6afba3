"""Why one car is not in a list: every step at which it may be lost, met once, and what would have to change."""

import re
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.insight.what_if import WhatIf, answer
from recommendations.models import MerchandisingRule, Placement
from tests.factories import BuyerFactory, ListingFactory, ServedListFactory, UserFactory
from tests.markets import view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
PLAIN = {
    "diversity": 0, "max_per_model": 0, "max_per_seller": 0, "exploration_positions": 0, "fresh_share": 0,
    "follows_intent": False, "times_shown_at_most": 40,
}  # fmt: skip


@pytest.fixture
def market(market_of_module):
    Placement.objects.filter(slug="home").update(**PLAIN)
    return market_of_module


@pytest.fixture
def fan(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    return buyer


def why(buyer, listing, k: int = 5, **asked):
    listing = Listing.objects.get(pk=listing.pk)
    return answer(WhatIf(buyer=buyer, k=k, missing_car=listing, **asked), with_dropped=True).why_not


def best(buyer, k: int = 5) -> list[Listing]:
    return [item.listing for item in answer(WhatIf(buyer=buyer, k=k)).recommended.items]


def test_a_car_that_is_in_the_list_is_named_with_its_position(fan):
    third = best(fan)[2]
    found = why(fan, third)
    assert (found.step, found.position, found.change) == ("In the list", 3, "")


def test_each_step_names_itself_and_what_would_have_to_change(market, fan):
    first = best(fan)[0]

    def lost(**asked) -> str:
        found = why(fan, first, **asked)
        assert found.position is None
        assert found.change
        assert found.detail
        return found.step

    rule = MerchandisingRule.objects.create(name="Stop", action="hide", is_active=True, target={"makes": ["bmw"]})
    assert lost() == "Merchandising rules"
    assert "“Stop”" in why(fan, first).detail
    rule.action, rule.share, rule.target = "cap", 0, {"makes": ["bmw"]}
    rule.save()
    assert lost() == "Merchandising rules"
    rule.is_active = False
    rule.save()
    assert lost(filters=ListingFilters(makes=("skoda",))) == "Filters"
    Placement.objects.update(filters={"max_price": 9_000})
    assert lost() == "Filters"
    Placement.objects.update(filters={}, times_shown_at_most=1)
    ServedListFactory(buyer=fan, listing_ids=[first.pk], scores=[0.0], sources=["taste"], served_at=timezone.now())
    assert lost() == "Frequency cap"
    Placement.objects.update(times_shown_at_most=40)
    view(fan, first, kind="hide")
    assert lost() == "Dismissed or own"
    for status in ("reserved", "withdrawn", "sold", "expired"):
        Listing.objects.filter(pk=first.pk).update(status=status, ended_at=timezone.now())
        assert lost() == "For sale"


def test_a_car_that_scores_too_low_is_said_to_lack_what_a_boost_would_give(market, fan):
    weak = market.skodas[0]
    found = why(fan, weak, k=3)
    assert found.step == "Score"
    assert found.score < found.lowest
    needed = round(100 * (2.718281828459045 ** (found.lowest - found.score) - 1)) + 1
    if needed <= 1000:
        row = MerchandisingRule.objects.create(
            name="Lift", action="boost", strength=needed, is_active=True, target={"makes": ["skoda"]}
        )
        row.listings.set([weak])
        assert weak in best(fan, 3)


def test_a_car_of_a_full_cap_says_so(market, fan):
    Placement.objects.update(max_per_seller=2)
    Listing.objects.exclude(pk__in=[car.pk for car in market.bmws]).update(seller=None)
    left_out = next(car for car in market.bmws if car not in best(fan, 6))
    found = why(fan, left_out, k=6)
    assert found.step in ("Caps", "Score")


def test_a_draft_and_a_car_long_gone_are_not_for_sale(fan):
    for listing in (ListingFactory(draft=True), ListingFactory(sold=True)):
        assert why(fan, listing).step == "For sale"


def test_the_lab_has_a_box_for_it(client, fan, market):
    client.force_login(UserFactory(operator=True))
    lab = reverse("admin:accounts_buyer_lab", args=[fan.pk])
    assert "Why is this car not in the list?" in client.get(lab).text
    Listing.objects.filter(pk=market.bmws[0].pk).update(status="sold", ended_at=timezone.now())
    page = client.get(lab, {"missing_car": str(market.bmws[0].pk)})
    assert "Lost at: For sale" in page.text
    assert "No car is found by" in client.get(lab, {"missing_car": "zzz qqq"}).text


@pytest.mark.parametrize(("arranged", "step", "detail", "change"), [
    ("sold", "For sale", "it is sold", "publish or relist it"),
    ("placement's filter", "Filters", "max price", "Change the filters of the placement"),
    ("not proposed", "Candidates", "no source had it among its best", "to the last car by score: a pin"),
    ("beaten", "Score", "every car of the list scores higher", "It lacks .* to the last car by score"),
    ("cap per model", "Caps", "2 of its model are in the list already, of 2 at most", "Raise the cap per model"),
    ("cap that cannot hold", "Caps", "3 of its model .*, of 2 at most; others were too few", "Raise the cap per model"),
    ("cap of a rule", "Merchandising rules", "“Stop” lets 0% of a list", "Raise the share of the rule"),
    ("hidden", "Merchandising rules", "“Stop” hides it", "Switch the rule off"),
    ("shown often", "Frequency cap", "shown 1 times or more within 30 days", "Wait until the buyer saw it less"),
])  # fmt: skip
def test_the_page_says_for_each_step_what_would_have_to_change(
    client, fan, market, monkeypatch, arranged, step, detail, change
):
    car = arrange(arranged, fan, market, monkeypatch)
    client.force_login(UserFactory(operator=True))
    page = client.get(reverse("admin:accounts_buyer_lab", args=[fan.pk]), {"missing_car": str(car.pk)})
    panel = page.text.partition('id="why-not"')[2].partition("</section>")[0]
    text = re.sub(r"\s+", " ", unescape(strip_tags(panel)))
    assert f"Lost at: {step}." in text
    before, _, after = text.partition("What would have to change: ")
    assert re.search(detail, before, re.IGNORECASE), text
    assert re.search(change, after), text


def arrange(what: str, fan, market, monkeypatch) -> Listing:
    """Make a list that lacks a car for one reason; the car."""
    first = best(fan)[0]
    home = Placement.objects.filter(slug="home")
    home.update(k=4 if what == "cap per model" else 5)  # two models of two cars each, or one car too few
    if what == "sold":
        Listing.objects.filter(pk=first.pk).update(status="sold", ended_at=timezone.now())
    elif what == "placement's filter":
        home.update(filters={"max_price": 9_000})
    elif what == "not proposed":
        monkeypatch.setattr("recommendations.serving.selection.SMALLEST_POOL", 4)
        home.update(k=2, sources=dict.fromkeys(("trending", "fresh", "new arrivals", "price drop"), 0))
        return market.skodas[0]
    elif what == "beaten":
        return market.skodas[0]
    elif what.startswith("cap ") and what != "cap of a rule":
        wanted = best(fan, home.get().k)
        home.update(max_per_model=2)
        shown = {listing.pk for listing in best(fan, home.get().k)}
        return next(listing for listing in wanted if listing.pk not in shown)
    elif what == "shown often":
        home.update(times_shown_at_most=1)
        ServedListFactory(buyer=fan, listing_ids=[first.pk], scores=[0.0], sources=["taste"], served_at=timezone.now())
    else:
        action = "cap" if what == "cap of a rule" else "hide"
        share = 0 if action == "cap" else None
        MerchandisingRule.objects.create(
            name="Stop", action=action, share=share, is_active=True, target={"makes": ["bmw"]}
        )
    return first

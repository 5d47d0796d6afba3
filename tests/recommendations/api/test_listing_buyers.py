"""The buyers who want a car most, for keys that may read personal data, and for no other caller."""

import pytest

from accounts.models import ApiKey, Buyer
from recommendations.buyers.exclusions import buyers_closed_to, dismissed_listings
from recommendations.buyers.refresh import refresh_preferences
from recommendations.buyers.relations import Relation, add_seller, hide_listing, show_listing_again
from tests.factories import ApiKeyFactory, BuyerFactory, ListingFactory, SellerFactory
from tests.markets import trained_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
OTHER_SCOPES = [scope for scope in ApiKey.Scope.values if scope not in ("buyers", "admin")]


def ask(client, listing_id, scopes=("buyers",), query=""):
    ApiKeyFactory(secret="key", scopes=list(scopes))
    return client.get(f"/api/v1/listings/{listing_id}/buyers{query}", headers={"X-Api-Key": "key"})


def learned(*cars):
    buyer = BuyerFactory(external=True)
    view(buyer, *cars)
    refresh_preferences(buyer_id=buyer.pk)
    return buyer


def test_those_who_want_the_car_most_come_first_and_those_it_is_hidden_from_are_left_out(client):
    market = trained_market()
    fans = [learned(*market.bmws[:5]) for _ in range(2)]
    other = learned(*market.skodas[:5])
    hide_listing(buyer=fans[0], listing=market.bmws[7])
    Buyer.objects.filter(pk=learned(*market.bmws[:5]).pk).update(is_personalised=False)
    found = ask(client, market.bmws[7].pk).json()["buyers"]
    assert [buyer["external_id"] for buyer in found] == [fans[1].external_id, other.external_id]
    assert found[0]["rank"] < found[1]["rank"]
    assert (
        len(
            client.get(f"/api/v1/listings/{market.bmws[7].pk}/buyers?k=1", headers={"X-Api-Key": "key"}).json()[
                "buyers"
            ]
        )
        == 1
    )
    market.bmws[7].status = "reserved"
    market.bmws[7].save()
    shown = client.get(f"/api/v1/listings/{market.bmws[7].pk}/buyers", headers={"X-Api-Key": "key"})
    assert shown.json() == {"buyers": []}


@pytest.mark.parametrize("scope", OTHER_SCOPES)
def test_no_other_scope_opens_it(client, scope):
    assert ask(client, ListingFactory().pk, [scope]).status_code == 403


def test_before_the_first_training_no_buyer_is_known_and_a_draft_is_no_car(client):
    assert ask(client, ListingFactory().pk).json() == {"buyers": []}
    draft = ListingFactory(draft=True)
    assert client.get(f"/api/v1/listings/{draft.pk}/buyers", headers={"X-Api-Key": "key"}).status_code == 404


def test_whom_a_car_is_closed_to_is_the_reverse_of_what_is_dismissed():
    seller, blocked = SellerFactory(external_id="garage/1"), SellerFactory(external_id="garage/2")
    cars = [
        ListingFactory(seller=seller, vin="WVWZZZ1JZXW000001"), ListingFactory(seller=blocked, vin="WVWZZZ1JZXW000001"),
        ListingFactory(seller=blocked), ListingFactory(seller=None),
    ]  # fmt: skip
    buyers = [BuyerFactory() for _ in range(5)]
    hide_listing(buyer=buyers[0], listing=cars[0])
    add_seller(buyer=buyers[1], relation=Relation.BLOCKED, seller="garage/2")
    seller.user = buyers[2].user
    seller.save()
    hide_listing(buyer=buyers[3], listing=cars[3])
    hide_listing(buyer=buyers[4], listing=cars[2])
    show_listing_again(buyer=buyers[4], listing=cars[2])
    for car in cars:
        car.refresh_from_db()
        expected = {buyer.pk for buyer in buyers if car.pk in dismissed_listings(buyer)}
        assert buyers_closed_to(car, [buyer.pk for buyer in buyers]) == expected

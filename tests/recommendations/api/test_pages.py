"""Lists go on: pages without repeats, cars left out, several placements at once, ids put in order, similar cars."""

import uuid
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from accounts.models import Buyer
from accounts.services import create_api_key
from catalog.models import Listing
from recommendations.models import Experiment, Interaction, MerchandisingRule, Placement, ServedList
from tests.factories import BuyerFactory, ListingFactory, PlacementFactory, ServedListFactory
from tests.markets import remove_market, view
from tests.recommendations.api.conftest import client_with

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
LISTS = "/api/v1/cars/recommendations"
PLACEMENTS = f"{LISTS}/placements"
RANK = "/api/v1/cars/rank"
BUYER = "?buyer=42"


@pytest.fixture
def shop(db):
    scopes = ["read", "ingest"]
    return client_with(x_api_key=create_api_key(name="k", scopes=scopes, created_by=None, source="shop")[1])


@pytest.fixture
def market(market_of_module, db):
    return market_of_module


@pytest.fixture
def buyer(market):
    fan = BuyerFactory(user=None, external_id="42")
    view(fan, *market.bmws[:4])
    return fan


def ids(answer) -> list[int]:
    return [car["id"] for car in answer["recommended"]]


def asked(client, question=(), status=200):
    got = client.get(LISTS, dict(question))
    assert got.status_code == status, got.content
    return got.json()


def next_of(client, answer):
    address = urlsplit(answer["next"])
    return client.get(f"{address.path}?{address.query}").json()


def pages_of(client, question, n=20) -> list[dict]:
    pages = [asked(client, question)]
    while pages[-1]["next"] and len(pages) < n:
        pages.append(next_of(client, pages[-1]))
    return pages


# --- Pages -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("question", [{}, {"source": "content"}, {"brand": "bmw"}, {"exclude": "999999999"}])
@pytest.mark.parametrize("who", [{"buyer": "42"}, {"buyer": "unknown"}, {}])
def test_all_pages_together_hold_every_car_once(shop, buyer, question, who):
    pages = pages_of(shop, {"k": 3, **question, **who})
    shown = [key for page in pages for key in ids(page)]
    everything = Listing.objects.available().filter(make__slug="bmw") if "brand" in question else Listing.objects.all()
    assert sorted(shown) == sorted(everything.values_list("pk", flat=True))
    assert [page["after"] for page in pages] == [None, *(page["list_id"] for page in pages[:-1])]
    assert len({page["list_id"] for page in pages}) == len(pages) >= 5


def test_a_page_is_a_served_list_of_its_own(shop, buyer):
    placement = PlacementFactory(slug="strip", exploration_positions=2)
    pages = pages_of(shop, {"k": 5, "buyer": "42", "placement": "strip", "min_year": 2000})
    for page in pages:
        served = ServedList.objects.get(pk=page["list_id"])
        assert (served.placement, served.buyer, served.filters) == (placement, buyer, {"min_year": 2000})
        assert served.listing_ids == ids(page)
        assert served.propensities == [car["propensity"] for car in page["recommended"]]
        assert [car["position"] for car in page["recommended"]] == list(range(1, len(ids(page)) + 1))
    second = pages[1]
    event = {"kind": "view", "buyer": "42", "listing_id": ids(second)[2], "list_id": second["list_id"]}
    assert shop.post("/api/v1/events", event).status_code == 201
    recorded = Interaction.objects.get(served_list=second["list_id"])
    assert (recorded.position, recorded.attribution) == (3, "checked")


def test_a_page_asked_again_is_the_same_while_nothing_happens(shop, buyer):
    first, *others = pages_of(shop, {"k": 3, "buyer": "42"})
    for before, page in zip([first, *others], others, strict=False):
        again = next_of(shop, before)
        assert ids(again) == ids(page)
        assert again["list_id"] != page["list_id"]


def test_what_a_buyer_does_between_two_pages_repeats_no_car(shop, buyer, market):
    page = asked(shop, {"k": 4, "buyer": "42"})
    seen = ids(page)
    for car in market.skodas[:4]:
        view(buyer, car, kind="contact")
        page = next_of(shop, page)
        assert not set(ids(page)) & set(seen)
        seen += ids(page)


def test_cars_that_are_sold_hidden_or_blocked_are_on_no_later_page(shop, buyer, market):
    first = asked(shop, {"k": 5, "buyer": "42"})
    left = list(Listing.objects.exclude(pk__in=ids(first)))
    sold, hidden = left[0], left[1]
    Listing.objects.filter(pk=sold.pk).update(status="sold", ended_at=timezone.now())
    shop.post("/api/v1/buyers/42/hidden-cars", {"listing_id": hidden.pk})
    shown, page = [], first
    while page["next"]:
        page = next_of(shop, page)
        shown += ids(page)
    assert not {sold.pk, hidden.pk} & set(shown)
    assert len(shown) == len(left) - 2
    seller = left[0].seller
    seller.external_id = "shop/7"
    seller.save()
    shop.post("/api/v1/buyers/42/blocked-sellers", {"seller_id": "7", "source": "shop"})
    assert ids(next_of(shop, first)) == []


def test_another_advertisement_of_a_car_is_on_no_later_page(shop, buyer, market):
    first = asked(shop, {"k": 5, "buyer": "42"})
    twin = Listing.objects.exclude(pk__in=ids(first)).first()
    Listing.objects.filter(pk__in=[ids(first)[0], twin.pk]).update(vin="WVWZZZ1JZXW000001")
    page = first
    while page["next"]:
        page = next_of(shop, page)
        assert twin.pk not in ids(page)


def test_the_length_of_a_page_may_change_and_pages_end_where_the_cars_do(shop, buyer):
    first = asked(shop, {"k": 4, "buyer": "42"})
    second = asked(shop, {"k": 7, "buyer": "42", "after": first["list_id"]})
    assert (len(ids(second)), len(ids(asked(shop, {"buyer": "42", "after": second["list_id"]})))) == (7, 7)
    everything = asked(shop, {"k": 100, "buyer": "42"})
    assert everything["next"] is None
    assert asked(shop, {"k": 5, "buyer": "42", "after": everything["list_id"]})["recommended"] == []


def test_ten_pages_of_full_length_go_on_and_no_more(shop, buyer, settings):
    settings.RECOMMENDATIONS_MAX_K = 2
    pages = pages_of(shop, {"k": 2, "buyer": "42"})
    assert len(pages) == 10
    assert all(len(ids(page)) == 2 for page in pages)
    assert asked(shop, {"buyer": "42", "after": pages[-1]["list_id"]})["recommended"] == []


def test_a_pin_stands_at_its_rank_of_the_whole_list(shop, buyer, market):
    MerchandisingRule.objects.create(
        name="pin", action="pin", target={"makes": ["skoda"]}, position=7, n_pinned=3, is_active=True
    )
    pages = pages_of(shop, {"k": 4, "buyer": "42"}, n=3)
    ranks = [rank for rank, car in enumerate((car for page in pages for car in page["recommended"]), start=1)
             if car["source"] == "pinned"]  # fmt: skip
    assert ranks == [7, 8, 9]


@pytest.mark.parametrize("buyer_id", ["43", "unknown", None])
def test_the_list_of_another_buyer_does_not_go_on(shop, buyer, buyer_id):
    BuyerFactory(user=None, external_id="43")
    first = asked(shop, {"k": 3, "buyer": "42"})
    question = {"after": first["list_id"]} | ({"buyer": buyer_id} if buyer_id else {})
    asked(shop, question, status=404)


def test_persons_go_on_with_their_own_lists_alone(shop, market, as_alice, as_carol, alice, carol):
    for each in (alice, carol):
        view(each, market.skodas[0])
    own = asked(as_alice, {"k": 3})
    assert len(ids(next_of(as_alice, own))) == 3
    asked(as_carol, {"after": own["list_id"]}, status=404)
    asked(shop, {"after": own["list_id"]}, status=404)


def test_the_list_of_a_guest_goes_on_once_they_are_known(shop, market):
    guest = BuyerFactory(user=None, external_id="guest")
    view(guest, market.skodas[0])
    first = asked(shop, {"k": 3, "buyer": "guest"})
    into = BuyerFactory(user=None, external_id="42")
    assert shop.post("/api/v1/buyers/42/merge", {"external_id": "guest"}).status_code == 200
    assert Buyer.objects.get(pk=into.pk)
    assert len(ids(asked(shop, {"after": first["list_id"], "k": 3, "buyer": "42"}))) == 3


def test_what_is_no_list_of_cars_does_not_go_on(shop, buyer, market):
    similar = shop.get(f"/api/v1/cars/{market.bmws[0].pk}/similar", {"buyer": "42"}).json()["list_id"]
    ranked = shop.post(RANK + BUYER, {"listing_ids": [market.bmws[0].pk]}).json()["list_id"]
    feed = ServedListFactory(buyer=buyer, variant="feed").pk
    for list_id in (similar, ranked, feed, uuid.uuid4()):
        asked(shop, {"after": list_id, "buyer": "42"}, status=404)
    asked(shop, {"after": "x", "buyer": "42"}, status=400)


@pytest.mark.parametrize(
    ("along", "status"),
    [({}, 200), ({"max_price": 99_999}, 200), ({"placement": "strip"}, 200), ({"source": "content"}, 200),
     ({"max_price": 9}, 400), ({"placement": "home"}, 400), ({"source": "hybrid"}, 400), ({"brand": "bmw"}, 400)],
)  # fmt: skip
def test_a_next_page_is_of_the_same_question(shop, buyer, along, status):
    PlacementFactory(slug="strip")
    question = {"buyer": "42", "k": 3, "max_price": 99_999, "placement": "strip", "source": "content"}
    first = asked(shop, question)
    got = shop.get(LISTS, {"buyer": "42", "after": first["list_id"], **along})
    assert got.status_code == status
    assert status == 200 or list(got.json()["error"]["fields"]) == ["after"]


# --- Left out --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("by", ["get", "post"])
@pytest.mark.parametrize("name", ["exclude", "exclude_external", "both", "another advertisement", "by another source"])
def test_cars_are_left_out_by_any_id_of_theirs_on_every_page(shop, buyer, market, by, name):
    some = market.bmws[:3]
    source = "dealer" if name == "by another source" else "shop"
    for number, car in enumerate(some):
        Listing.objects.filter(pk=car.pk).update(source=source, external_id=f"A,{number}")
    ours, theirs = [car.pk for car in some], [f"A,{number}" for number in range(3)]
    question = {
        "exclude": {"exclude": ours},
        "exclude_external": {"exclude_external": theirs},
        "both": {"exclude": ours[:1], "exclude_external": theirs[1:]},
        "another advertisement": {"exclude": [ListingFactory(vin="WVWZZZ1JZXW000001").pk, *ours[1:]]},
        "by another source": {"exclude_external": theirs, "exclude_source": "dealer"},
    }[name]
    Listing.objects.filter(pk=ours[0]).update(vin="WVWZZZ1JZXW000001")
    if by == "get":
        page = asked(shop, {"buyer": "42", "k": 10, **question})
    else:
        page = shop.post(LISTS + BUYER, {"k": 10, **question}).json()
    shown = ids(page)
    while page["next"]:
        page = next_of(shop, page)
        shown += ids(page)
    assert not set(shown) & set(ours)
    assert len(shown) == 27


def test_ids_that_no_car_has_leave_nothing_out(shop, buyer):
    assert ids(asked(shop, {"buyer": "42", "k": 5, "exclude": "999999999", "exclude_external": "x"})) == ids(
        asked(shop, {"buyer": "42", "k": 5})
    )


@pytest.mark.parametrize(
    "question",
    [{"exclude": "x"}, {"exclude": "0"}, {"exclude": "-1"}, {"exclude": "1.5"}, {"exclude": str(2**63)},
     {"exclude_external": "x" * 256}, {"exclude_source": "items"}, {"exclude": ",".join(["7"] * 1001)}],
)  # fmt: skip
def test_what_cannot_be_an_id_is_refused_by_name(shop, question):
    got = shop.get(LISTS, question)
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, list(question))


def test_a_question_in_a_body_is_the_question_in_an_address(shop, buyer):
    question = {"k": 4, "brand": ["bmw"], "source": "content"}
    by_body = shop.post(LISTS + BUYER, question)
    assert by_body.status_code == 200
    assert ids(by_body.json()) == ids(asked(shop, {**question, "buyer": "42"}))
    assert shop.post(LISTS, {"max_prize": 1}).status_code == 400


# --- Several placements ----------------------------------------------------------------------------------------------
def test_no_car_is_in_two_lists_of_one_answer(shop, buyer):
    PlacementFactory(slug="strip", k=6)
    lists = [{"k": 5}, {"placement": "strip"}, {"k": 8, "brand": "skoda"}, {"k": 20, "source": "content"}]
    got = shop.post(PLACEMENTS + BUYER, {"lists": lists})
    assert got.status_code == 200, got.json()
    answers = got.json()["lists"]
    assert [(each["placement"], len(ids(each))) for each in answers] == [
        ("home", 5), ("strip", 6), ("home", 8), ("home", 11),
    ]  # fmt: skip
    shown = [key for each in answers for key in ids(each)]
    assert len(set(shown)) == len(shown) == 30
    assert ids(answers[0]) == ids(asked(shop, {"k": 5, "buyer": "42"}))
    for each in answers:
        assert ServedList.objects.get(pk=each["list_id"]).listing_ids == ids(each)
    assert not set(ids(next_of(shop, answers[2]))) & set(shown[:19])


def test_cars_are_left_out_of_all_lists_of_one_answer(shop, buyer, market):
    body = {"lists": [{"k": 20}, {"k": 20}], "exclude": [market.bmws[0].pk]}
    answers = shop.post(PLACEMENTS + BUYER, body).json()["lists"]
    assert market.bmws[0].pk not in {key for each in answers for key in ids(each)}


@pytest.mark.parametrize(
    ("lists", "field"),
    [([], "lists"), ([{}] * 11, "lists"), ([{"k": 0}], "lists[0].k"), ([{}, {"placement": "x"}], "lists[1].placement"),
     ([{"after": str(uuid.uuid4())}], "lists[0].after"), ([{"buyer": "42"}], "lists[0].buyer")],
)  # fmt: skip
def test_a_wrong_question_among_several_is_named(shop, lists, field):
    got = shop.post(PLACEMENTS, {"lists": lists})
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, [field])


# --- Ids in order ----------------------------------------------------------------------------------------------------
def test_named_cars_come_in_the_order_of_their_scores(shop, buyer, market):
    named = [market.skodas[0], market.bmws[5], market.skodas[1], market.bmws[6]]
    Listing.objects.filter(pk=named[3].pk).update(source="shop", external_id="A-1")
    body = {"listing_ids": [car.pk for car in named[:3]], "external_ids": ["A-1"]}
    got = shop.post(RANK + BUYER, body)
    assert got.status_code == 200, got.json()
    ranked = got.json()["ranked"]
    assert {car["id"] for car in ranked} == {car.pk for car in named}
    assert {car["id"] for car in ranked[:2]} == {named[1].pk, named[3].pk}
    assert [car["score"] for car in ranked] == sorted((car["score"] for car in ranked), reverse=True)
    assert {(car["placed_by"], car["propensity"]) for car in ranked} == {("score", 1.0)}
    assert all(car["reason"] for car in ranked)
    assert got.json()["is_personalised"]
    assert [car["id"] for car in shop.post(RANK + BUYER, body).json()["ranked"]] == [car["id"] for car in ranked]
    event = {"kind": "view", "buyer": "42", "listing_id": ranked[1]["id"], "list_id": got.json()["list_id"]}
    shop.post("/api/v1/events", event)
    assert Interaction.objects.get(served_list=got.json()["list_id"]).position == 2


def test_cars_that_may_not_be_shown_are_named_apart(shop, buyer, market):
    sold, hidden, right = market.bmws[:3]
    Listing.objects.filter(pk=sold.pk).update(status="sold", ended_at=timezone.now(), source="shop", external_id="S")
    shop.post("/api/v1/buyers/42/hidden-cars", {"listing_id": hidden.pk})
    draft, item = ListingFactory(draft=True), ListingFactory(source="items", external_id="film")
    body = {"listing_ids": [hidden.pk, right.pk, 999_999_999, draft.pk, item.pk], "external_ids": ["S", "no"]}
    got = shop.post(RANK + BUYER, body).json()
    assert [car["id"] for car in got["ranked"]] == [right.pk]
    assert [(each["listing_id"] or each["external_id"], each["reason"]) for each in got["left_out"]] == [
        (hidden.pk, "hidden"), (999_999_999, "unknown"), (draft.pk, "unknown"), (item.pk, "unknown"),
        ("S", "not_for_sale"), ("no", "unknown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body", [{}, {"listing_ids": []}, {"listing_ids": ["x"]}, {"listing_ids": list(range(1, 1002))}]
)
def test_a_wrong_list_of_ids_is_refused(shop, body):
    got = shop.post(RANK, body)
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, ["listing_ids"])


def test_before_any_training_ids_stay_as_they_were_sent(shop):
    remove_market()
    cars = [ListingFactory() for _ in range(3)]
    body = {"listing_ids": [cars[1].pk, cars[0].pk, cars[2].pk, cars[1].pk]}
    assert [car["id"] for car in shop.post(RANK, body).json()["ranked"]] == [cars[1].pk, cars[0].pk, cars[2].pk]


# --- Similar cars ----------------------------------------------------------------------------------------------------
def test_a_click_on_a_similar_car_is_attributed(shop, buyer, market):
    got = shop.get(f"/api/v1/cars/{market.bmws[0].pk}/similar", {"buyer": "42", "k": 5}).json()
    served = ServedList.objects.get(pk=got["list_id"])
    assert (served.kind, served.buyer, served.listing_ids) == ("similar", buyer, [car["id"] for car in got["similar"]])
    event = {"kind": "view", "buyer": "42", "listing_id": served.listing_ids[3], "list_id": got["list_id"]}
    shop.post("/api/v1/events", event)
    assert Interaction.objects.get(served_list=served.pk).position == 4
    shop.post("/api/v1/events", event | {"buyer": "43"})
    assert Interaction.objects.get(buyer__external_id="43").attribution == "other_buyer"


def test_what_a_buyer_hid_is_not_among_similar_cars(shop, buyer, market):
    url = f"/api/v1/cars/{market.bmws[0].pk}/similar"
    hidden = shop.get(url, {"k": 3}).json()["similar"][0]["id"]
    shop.post("/api/v1/buyers/42/hidden-cars", {"listing_id": hidden})
    assert hidden not in {car["id"] for car in shop.get(url, {"buyer": "42"}).json()["similar"]}
    assert hidden in {car["id"] for car in shop.get(url).json()["similar"]}


def test_only_a_client_system_names_whom_similar_cars_are_shown(as_alice, market):
    url = f"/api/v1/cars/{market.bmws[0].pk}/similar"
    assert (as_alice.get(url).status_code, as_alice.get(url, {"buyer": "42"}).status_code) == (200, 403)


# --- Order -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "rules",
    [{}, {"diversity": 0.6}, {"exploration_positions": 6}, {"max_per_model": 2}, {"fresh_share": 0.4},
     {"promoted_share": 0.4}, {"times_shown_at_most": 1}, {"diversity": 0, "exploration_positions": 0}],
)  # fmt: skip
def test_cars_stand_in_the_order_of_their_scores_or_say_why_not(shop, buyer, market, rules):
    now = timezone.now()
    Placement.objects.update(**rules)
    Listing.objects.filter(pk__in=[car.pk for car in market.skodas[:5]]).update(promoted_until=now + timedelta(days=1))
    MerchandisingRule.objects.create(
        name="pin", action="pin", target={"makes": ["skoda"]}, position=2, n_pinned=1, is_active=True
    )
    for _ in range(2):
        for page in pages_of(shop, {"k": 12, "buyer": "42"}):
            by_score = [car["score"] for car in page["recommended"] if car["placed_by"] == "score"]
            assert by_score == sorted(by_score, reverse=True)
            kinds = {car["source"]: car["placed_by"] for car in page["recommended"] if car["placed_by"] != "score"}
            for source, placed_by in (("pinned", "pinned"), ("promoted", "promoted"), ("new arrivals", "new")):
                assert kinds.get(source, placed_by) == placed_by


def test_with_no_rule_the_order_is_that_of_the_scores(shop, buyer):
    Placement.objects.update(
        diversity=0, exploration_positions=0, fresh_share=0, max_per_model=0, max_per_seller=0, follows_intent=False
    )
    assert {car["placed_by"] for car in asked(shop, {"k": 12, "buyer": "42"})["recommended"]} == {"score"}


def test_an_answer_names_its_arm_of_the_experiment(shop, buyer):
    assert asked(shop, {"buyer": "42"})["variant"] == ""
    Experiment.objects.create(
        slug="e", placement=Placement.objects.get(slug="home"), status="running", variants={"only": {"share": 1.0}}
    )
    first = asked(shop, {"buyer": "42", "k": 3})
    served = ServedList.objects.get(pk=first["list_id"])
    assert first["variant"] == served.variant != ""
    assert next_of(shop, first)["variant"] == first["variant"]

"""Each reason of each list names something that the log or the catalogue holds."""

import re

import numpy as np
import pytest

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.row_filters import satisfies
from recommendations.buyers.wishes import fields_of
from recommendations.events.recording import Event, record_interactions
from recommendations.listings.market_prices import market_prices_of
from recommendations.models import EventKind, Placement, SavedSearch
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import BuyerFactory

pytestmark = pytest.mark.django_db

FREE = {  # reasons that claim nothing of the buyer's log but what each known buyer has
    "The kind of car many buyers look for",
    "Something different",
    "Its price has just fallen",
    "Popular with buyers right now",
    "Promoted by its seller",
}
DONE = {"opened": {"view"}, "liked": {"like", "favourite"}, "contacted sellers of": {"contact", "call", "message"}}
FIELDS = ("body", "fuel", "gearbox", "drive", "colour")
WORDS = {"estates": "estate", "SUVs": "suv", "saloons": "saloon", "hatchbacks": "hatchback"}


@pytest.fixture
def market(market_of_module, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    return market_of_module


def a_buyer(seed: int):
    """A buyer with a random log: looks, likes, contacts, searches, answers, or none of them."""
    rng = np.random.default_rng(seed)
    buyer = BuyerFactory(external=True)
    cars = list(Listing.objects.available().order_by("pk"))
    contact = EventKind.objects.filter(is_contact=True).values_list("slug", flat=True).first()
    events = [
        Event(kind=str(rng.choice(["view", "like", contact])), listing_id=cars[rng.integers(len(cars))].pk)
        for _ in range(rng.integers(0, 6))
    ]
    if rng.random() < 0.5:
        events.append(Event(kind="search", query={"makes": [str(rng.choice(["skoda", "bmw"]))], "max_price": 15_000.0}))
    if events:
        record_interactions(buyer=buyer, events=events)
    if rng.random() < 0.5:
        buyer.questionnaire = {
            "bodies": [str(rng.choice(["estate", "suv"]))],
            "max_price": float(rng.choice([9e3, 2e4])),
        }
        buyer.save()
    return buyer


def budgets_of(buyer) -> set[float]:
    asked = [event.query or {} for event in buyer.interactions.all()] + [buyer.questionnaire]
    return {query["max_price"] for query in asked if "max_price" in query}


def is_true(reason: str, buyer, listing: Listing) -> bool:
    """Whether the catalogue and the log hold what a reason claims."""
    head, *asides = reason.removesuffix(".").split(", ")
    if head in OF_WISHES:
        return OF_WISHES[head](buyer, listing)
    if asides and asides[0].startswith("as you"):
        head, asides = f"{head}, {asides[0]}", asides[1:]
    is_good = market_prices_of([listing])[0]
    for aside in asides:
        if aside.startswith("priced below") and (is_good is None or is_good.label != "good"):
            return False
    if found := re.search(r"(?: and w|W)ithin your budget of £([\d,]+)$", head):
        if float(found[1].replace(",", "")) not in {round(each) for each in budgets_of(buyer)}:
            return False
        if float(listing.price) > float(found[1].replace(",", "")):
            return False
        head = head[: found.start()]
    if head in FREE or head == "" or head.startswith(("New ", "One of the newest", "Close to you")):
        return True
    if head.startswith("Priced below"):
        return is_good is not None and is_good.label == "good"
    return claims_of_buyer(head, buyer, listing)


def has_looked(buyer) -> bool:
    return bool(buyer.interactions.filter(listing__isnull=False).exists())


def asked_of(buyer) -> list[ListingFilters]:
    """Each condition by itself that the buyer stated: in answers, searches, and saved searches."""
    searched = [event.query for event in buyer.interactions.all() if event.query]
    saved = SavedSearch.objects.filter(buyer=buyer).values_list("query", flat=True)
    return [part for query in (buyer.questionnaire, *searched, *saved) for _, part in fields_of(query)]


def is_match(buyer, listing: Listing) -> bool:
    return has_looked(buyer) or not asked_of(buyer) or any(satisfies(listing, one) for one in asked_of(buyer))


def is_saved(buyer, listing: Listing) -> bool:
    saved = SavedSearch.objects.filter(buyer=buyer).values_list("query", flat=True)
    return any(satisfies(listing, ListingFilters.from_query(query)) for query in saved)


OF_WISHES = {
    "A good match overall for what you look for": is_match,
    "Matches one of your saved searches": is_saved,
    "Buyers of what you looked at also look at cars like this": lambda buyer, _: has_looked(buyer),
    "Something a little different from what you have seen": lambda buyer, _: has_looked(buyer),
}


def claims_of_buyer(head: str, buyer, listing: Listing) -> bool:
    events = list(buyer.interactions.select_related("kind", "listing__make", "listing__car_model", "listing__seller"))
    asked = [event.query for event in events if event.query]
    if found := re.fullmatch(
        r"Because you (opened|liked|contacted sellers of|searched for|said you look for) (.+)", head
    ):
        done, words = found.groups()
        if done == "said you look for":
            return WORDS.get(words) in buyer.questionnaire.get("bodies", [])
        if done == "searched for":
            return any(WORDS.get(words) in query.get("bodies", []) for query in asked)
        return any(
            is_done(event, done) and any(shares(event.listing, listing, name, words) for name in (*FIELDS, "seller"))
            for event in events
        )
    if found := re.fullmatch(r"An? (.+?)(?: like those you (.+)|, as you (searched for|said you look for))", head):
        name, done, wished = found.groups()
        if wished:
            queries = asked if wished == "searched for" else [buyer.questionnaire]
            return any(
                listing.make.slug in query.get("makes", []) or listing.car_model.slug in query.get("models", [])
                for query in queries
            )
        done = "contacted sellers of" if done == "contacted the seller of" else done
        is_model = name != listing.make.name
        return any(
            is_done(event, done)
            and event.listing.make_id == listing.make_id
            and (not is_model or event.listing.car_model_id == listing.car_model_id)
            for event in events
        )
    return False


def is_done(event, done: str) -> bool:
    if event.listing is None:
        return False
    return event.kind.is_contact if done.startswith("contacted") else event.kind_id in DONE[done]


def shares(seen: Listing, listing: Listing, name: str, words: str) -> bool:
    if name == "seller":
        return words.startswith("cars sold by") and seen.seller.kind == listing.seller.kind
    value = getattr(listing, name)
    return bool(value) and getattr(seen, name) == value and (WORDS.get(words) == value or value.split("_")[0] in words
                                                            or name == "drive")  # fmt: skip


def test_each_reason_holds_against_the_log_and_no_list_names_two_budgets(market):
    kinds: set[str] = set()
    for seed in range(25):
        buyer = a_buyer(seed)
        answer = recommend(ListRequest(buyer=buyer, k=20))
        for item in answer.items:
            kinds.add(" ".join(item.reason.split()[:3]))
            if answer.is_personalised:
                assert is_true(item.reason, buyer, item.listing), (seed, item.reason, item.listing.pk)
        numbers = {number for item in answer.items for number in re.findall(r"£[\d,]+", item.reason)}
        assert len(numbers) <= 1
    assert len(kinds) >= 4, kinds  # the test met more than the sentence that claims nothing


ALL_PARTS = {"makes": ["skoda"], "max_price": 15_000.0}


def reasons_for(buyer) -> list[tuple[str, Listing]]:
    return [(item.reason, item.listing) for item in recommend(ListRequest(buyer=buyer, k=20)).items]


def test_a_saved_search_is_named_to_a_buyer_of_whom_nothing_else_is_known_and_only_of_what_it_finds(market):
    """They read that many buyers look for such cars, of cars that were in the list for their own search."""
    buyer = BuyerFactory(external=True)
    SavedSearch.objects.create(buyer=buyer, query=ALL_PARTS)
    reasons = reasons_for(buyer)
    named = [listing for reason, listing in reasons if reason.startswith("Matches one of your saved searches")]
    assert named
    assert all(is_true(reason, buyer, listing) for reason, listing in reasons if "saved" in reason)
    usual = [listing for reason, listing in reasons if "any buyers look" in reason]
    assert not any(satisfies(listing, ListingFilters.from_query(ALL_PARTS)) for listing in usual)


def test_nothing_is_said_of_what_was_seen_to_a_buyer_who_only_asked(market):
    """Cars that explore were “different from what you have seen” to buyers who had answered, and opened no car."""
    Placement.objects.update(exploration_positions=6)
    said = set()
    for body in ("estate", "suv"):
        for maximum in (9e3, 2e4):
            buyer = BuyerFactory(external=True, questionnaire={"bodies": [body], "max_price": maximum})
            said |= {reason for reason, _ in reasons_for(buyer)}
    assert "Something different." in said
    assert not any("you have seen" in reason or "you looked at" in reason for reason in said)


def test_no_car_is_a_match_for_one_who_asked_for_what_is_not_for_sale_and_did_nothing_else(market):
    buyer = BuyerFactory(external=True, questionnaire={"fuels": ["hydrogen"]})
    reasons = [reason for reason, _ in reasons_for(buyer)]
    assert reasons
    assert not [reason for reason in reasons if "match" in reason]


def test_a_model_that_was_asked_for_is_named(market):
    model = Listing.objects.available().filter(make__slug="skoda").first().car_model
    buyer = BuyerFactory(external=True, questionnaire={"models": [model.slug]})
    reasons = reasons_for(buyer)
    named = [listing for reason, listing in reasons if reason.startswith((f"A {model}, as you", f"An {model}, as you"))]
    assert named
    assert {listing.car_model_id for listing in named} == {model.pk}


def test_a_list_of_cars_in_several_currencies_names_one_budget(market, settings):
    """The one that the buyer gave: 20,000 in the market's currency was 17,391 beside a car in another."""
    settings.EXCHANGE_RATES = {"EUR": 0.86}
    Listing.objects.filter(pk__in=Listing.objects.values_list("pk", flat=True)[::2]).update(currency="EUR")
    buyer = BuyerFactory(external=True, questionnaire={"max_price": 20_000.0})
    numbers = {number for reason, _ in reasons_for(buyer) for number in re.findall(r"[£€][\d,]+", reason)}
    assert numbers == {"£20,000"}

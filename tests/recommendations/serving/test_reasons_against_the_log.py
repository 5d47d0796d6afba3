"""Each reason of each list names something that the log or the catalogue holds."""

import re

import numpy as np
import pytest

from catalog.models import Listing
from recommendations.events.recording import Event, record_interactions
from recommendations.listings.market_prices import market_prices_of
from recommendations.models import EventKind
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import BuyerFactory

pytestmark = pytest.mark.django_db

FREE = {  # reasons that claim nothing of the buyer's log but what each known buyer has
    "A good match overall for what you look for",
    "Something a little different from what you have seen",
    "The kind of car many buyers look for",
    "Something different",
    "Its price has just fallen",
    "Popular with buyers right now",
    "Matches one of your saved searches",
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
    if head.startswith("Buyers of what you looked at"):
        return buyer.interactions.filter(listing__isnull=False).exists()
    return claims_of_buyer(head, buyer, listing)


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
            return any(listing.make.slug in query.get("makes", []) for query in queries)
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

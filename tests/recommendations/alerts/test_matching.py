"""Many searches against few listings say the same as each search against all of them."""

import random

import pytest
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.alerts.matching import matches_of, read_searches
from recommendations.models import AlertSettings, SavedSearch
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, MakeFactory, SellerFactory

pytestmark = pytest.mark.django_db

WORDS = ["estate", "Škoda", "tow bar", "sat nav", '"one owner"', "estate -red", "diesel OR petrol", "  ", "it's"]


@pytest.fixture
def stock(settings):
    settings.EXCHANGE_RATES = {"EUR": 0.86}
    rng = random.Random(7)
    makes = [MakeFactory(name=name) for name in ("Skoda", "Ford", "Fiat")]
    models = [CarModelFactory(make=make, name=name) for make in makes for name in ("One", "Two")]
    sellers = [SellerFactory(kind="dealer"), SellerFactory(kind="private"), None]
    listings = []
    for _ in range(30):
        model = rng.choice([*models, None])
        listings.append(
            ListingFactory(
                make=model.make if model else None, car_model=model, seller=rng.choice(sellers),
                title=rng.choice(["Škoda Octavia estate", "Red diesel, one owner", "Petrol with tow bar and Navi"]),
                price=rng.choice([None, 5_000, 10_000, 10_000, 15_000]), currency=rng.choice(["GBP", "EUR", "USD"]),
                year=rng.choice([None, 2010, 2015, 2020]), mileage_km=rng.choice([None, 10_000, 90_000]),
                power_kw=rng.choice([None, 66, 110]), seats=rng.choice([None, 5, 7]), doors=rng.choice([None, 3, 5]),
                fuel=rng.choice(["", "petrol", "diesel"]), body=rng.choice(["", "estate", "suv"]),
                gearbox=rng.choice(["", "manual", "automatic"]), drive=rng.choice(["", "all"]),
                colour=rng.choice(["", "red"]), tags=rng.choice([[], ["tow bar"], ["tow bar", "leather"]]),
                latitude=(place := rng.choice([(None, None), (53.8, -1.55), (51.5, -0.12)]))[0], longitude=place[1],
            )
        )  # fmt: skip
    return listings


def any_filters(rng):
    """A few conditions of all that there are."""
    options = {
        "makes": [("skoda",), ("skoda", "ford", "skoda"), ("unknown",)], "models": [("one",), ("one", "two")],
        "bodies": [("estate",)], "fuels": [("petrol", "diesel")], "gearboxes": [("manual",)], "drives": [("all",)],
        "colours": [("red",)], "seller_kinds": [("dealer",), ("private",)],
        "tags": [("tow bar",), ("tow bar", "leather")],
        "min_year": [2015], "max_year": [2015], "min_price": [5_000, 8_600], "max_price": [10_000, 12_900.0],
        "min_mileage_km": [10_000], "max_mileage_km": [50_000], "min_power_kw": [100], "max_power_kw": [66],
        "min_seats": [7], "max_seats": [5], "min_doors": [5], "max_doors": [3], "text": WORDS,
    }  # fmt: skip
    asked = {name: rng.choice(values) for name, values in options.items() if rng.random() < 0.09}
    if rng.random() < 0.2:
        asked |= {"latitude": 53.8, "longitude": -1.5, "radius_km": rng.choice([5.0, 400.0])}
    elif rng.random() < 0.1:
        asked |= {"latitude": 53.8}
    return ListingFilters(**asked)


def test_a_batch_says_the_same_as_each_search_by_itself(stock):
    rng = random.Random(11)
    buyer = BuyerFactory()
    asked = [filters for filters in (any_filters(rng) for _ in range(120)) if filters.as_query()]
    asked += [ListingFilters(text=words) for words in WORDS] + [ListingFilters(makes=("skoda",), max_price=10_000)]
    searches = SavedSearch.objects.bulk_create(
        [SavedSearch(buyer=buyer, name="any", query=filters.as_query()) for filters in asked]
    )
    found = {(match.search_id, match.listing_id) for match in matches_of([listing.pk for listing in stock])}
    expected = {
        (search.pk, key)
        for search, filters in zip(searches, asked, strict=True)
        for key in Listing.objects.available().matching(filters).values_list("pk", flat=True)
    }
    assert found == expected
    assert len(expected) > 100


@pytest.mark.parametrize("query", [{}, [], "estate", None, {"min_price": "cheap"}, {"wings": 2}, {"makes": []}])
def test_what_asks_for_nothing_that_can_be_read_matches_nothing(query):
    search = SavedSearch.objects.create(buyer=BuyerFactory(), name="odd", query={})
    SavedSearch.objects.filter(pk=search.pk).update(query=query or {}, filters=None)
    assert matches_of([ListingFactory().pk]) == []
    assert read_searches() == 0


def test_what_cannot_be_read_leaves_the_rest_of_a_search(stock):
    SavedSearch.objects.bulk_create(
        [SavedSearch(buyer=BuyerFactory(), name="odd", query={"min_year": "new", "makes": ["skoda"], "doors": {}})]
    )
    found = {match.listing_id for match in matches_of([listing.pk for listing in stock])}
    assert found == set(Listing.objects.filter(make__slug="skoda").values_list("pk", flat=True))


def test_only_live_cars_match(stock):
    SavedSearch.objects.create(buyer=BuyerFactory(), name="red", query={"colours": ["red"]})
    Listing.objects.update(status="sold", ended_at=timezone.now())
    assert matches_of([listing.pk for listing in stock]) == []


@pytest.mark.parametrize("ending", ["no alerts", "opted out", "unsubscribed", "closed account", "merged"])
def test_searches_of_those_who_get_no_alerts_are_not_asked(ending):
    listing = ListingFactory(colour="red")
    buyer = BuyerFactory()
    search = SavedSearch.objects.create(buyer=buyer, name="red", query={"colours": ["red"]})
    assert [match.search_id for match in matches_of([listing.pk])] == [search.pk]
    if ending == "no alerts":
        SavedSearch.objects.update(is_alerting=False)
    elif ending == "opted out":
        buyer.is_personalised = False
        buyer.save()
    elif ending == "unsubscribed":
        AlertSettings.objects.create(buyer=buyer, is_enabled=False)
    elif ending == "closed account":
        buyer.user.is_active = False
        buyer.user.save()
    else:
        buyer.merged_into = BuyerFactory()
        buyer.save()
    assert matches_of([listing.pk]) == []


def test_a_query_that_is_changed_is_compared_as_it_is_now():
    listing = ListingFactory(colour="red")
    search = SavedSearch.objects.create(buyer=BuyerFactory(), name="blue", query={"colours": ["blue"]})
    assert matches_of([listing.pk]) == []
    search.query = {"colours": ["red"]}
    search.save(update_fields=["query"])
    assert len(matches_of([listing.pk])) == 1


def test_the_number_of_statements_does_not_depend_on_the_number_of_searches(django_assert_num_queries):
    listings = [ListingFactory(colour="red").pk for _ in range(3)]
    buyer = BuyerFactory()
    for year in range(30):
        SavedSearch.objects.create(buyer=buyer, name="red", query={"colours": ["red"], "min_year": 1900 + year})
    with django_assert_num_queries(2):  # what is unread, and all of them
        assert len(matches_of(listings)) == 90

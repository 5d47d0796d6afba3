from copy import deepcopy

import numpy as np
import pytest

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.listings.columns import ListingColumns, text_matches
from recommendations.listings.rows import read_listings
from tests.factories import CarModelFactory, ListingFactory, SellerFactory

pytestmark = pytest.mark.django_db

FILTERS = [
    ListingFilters(),
    ListingFilters(makes=("skoda",)),
    ListingFilters(makes=("skoda", "bmw"), models=("octavia",)),
    ListingFilters(makes=("unknown-make",)),
    ListingFilters(bodies=("suv",), fuels=("diesel",)),
    ListingFilters(gearboxes=("automatic",), drives=("all",), colours=("red",)),
    ListingFilters(seller_kinds=("private",)),
    ListingFilters(tags=("towbar",)),
    ListingFilters(tags=("towbar", "sunroof")),
    ListingFilters(min_price=9_000, max_price=12_000),
    ListingFilters(min_year=2019, max_mileage_km=60_000, min_power_kw=85),
    ListingFilters(min_seats=7),
    ListingFilters(max_seats=5, min_doors=5, max_doors=5),
    ListingFilters(latitude=51.5, longitude=-0.1, radius_km=40),
    ListingFilters(makes=("skoda", "bmw"), also=ListingFilters(makes=("bmw",))),
    ListingFilters(makes=("skoda",), also=ListingFilters(makes=("bmw",))),
    ListingFilters(
        latitude=51.5, longitude=-0.1, radius_km=40, also=ListingFilters(latitude=53.5, longitude=-2.2, radius_km=9)
    ),
    ListingFilters(also=ListingFilters(max_price=9_000, also=ListingFilters(fuels=("diesel",)))),
]


@pytest.fixture
def listings():
    bmw = CarModelFactory(make__name="BMW", name="X3")
    return [
        ListingFactory(),
        ListingFactory(bare=True),
        ListingFactory(
            car_model=bmw, body="suv", fuel="diesel", gearbox="automatic", drive="all", colour="red", price=9_000
        ),
        ListingFactory(tags=["towbar"], seller=SellerFactory(kind="private"), latitude=51.6, longitude=0.0),
        ListingFactory(tags=["towbar", "sunroof"], year=2018, power_kw=None, latitude=53.5, longitude=-2.2),
    ]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_mean_the_same_in_memory_and_in_the_database(listings, filters):
    for seats, doors in [(7, 5), (5, 5), (4, 3)]:
        ListingFactory(seats=seats, doors=doors)
    rows = read_listings(Listing.objects.all())
    columns = ListingColumns()
    columns.put(np.arange(len(rows)), rows)
    in_memory = rows.listing_ids[columns.matching(filters)]
    assert set(in_memory.tolist()) == set(Listing.objects.matching(filters).values_list("pk", flat=True))


def test_a_changed_listing_is_found_by_what_it_is_now(listings):
    rows = read_listings(Listing.objects.all())
    columns = ListingColumns()
    columns.put(np.arange(len(rows)), rows)
    tagged = listings[3]
    tagged.tags, tagged.price = ["roof rack"], 1
    tagged.save()
    columns.put(np.array([3]), read_listings(Listing.objects.filter(pk=tagged.pk)))
    assert columns.matching(ListingFilters(tags=("towbar",))).tolist() == [False, False, False, False, True]
    assert columns.matching(ListingFilters(tags=("roof rack",), max_price=2))[3]


def test_some_rows_are_asked_as_all_are(listings):
    rows = read_listings(Listing.objects.all())
    columns = ListingColumns()
    columns.put(np.arange(len(rows)), rows)
    some = np.array([4, 0, 2])
    for filters in (
        ListingFilters(makes=("skoda", "unknown-make"), min_price=1),
        ListingFilters(tags=("towbar",)),
        ListingFilters(latitude=51.5, longitude=-0.1, radius_km=100),
        ListingFilters(max_price=9_000).together_with(ListingFilters(min_year=2015)),
    ):
        assert columns.matching(filters, some).tolist() == columns.matching(filters)[some].tolist()


def test_columns_mean_the_same_in_another_process(listings):
    rows = read_listings(Listing.objects.all())
    columns = ListingColumns()
    columns.put(np.arange(len(rows)), rows)
    for filters in FILTERS:  # of a new copy each, as the first question about tags unpacks them
        assert deepcopy(columns).matching(filters).tolist() == columns.matching(filters).tolist()
    copy, every = deepcopy(deepcopy(columns)), np.arange(len(rows))
    assert copy.table(every).tags.tolist() == columns.table(every).tags.tolist()
    copy.put(every[::-1], rows)
    assert copy.matching(ListingFilters(tags=("towbar",))).tolist() == [True, True, False, False, False]


def test_text_is_asked_of_the_database(listings):
    assert set(text_matches("octavia").tolist()) == {listings[0].pk, listings[3].pk, listings[4].pk}


def test_what_must_hold_besides_holds_whatever_is_asked():
    asked, always = ListingFilters(makes=("skoda",)), ListingFilters(max_price=9_000)
    both = asked.together_with(always)
    assert both.as_query() == {"makes": ["skoda"]}  # what the caller asked
    assert both.also == always
    assert both.together_with(ListingFilters(min_year=2019)).also.also == ListingFilters(min_year=2019)
    assert not ListingFilters().together_with(ListingFilters())
    assert ListingFilters().together_with(always)
    assert "also" not in ListingFilters.names()

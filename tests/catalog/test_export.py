"""Listings out as a file that comes in again, unchanged."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.export import HEADINGS, exported_rows
from catalog.imports.reading import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import Listing, Seller
from tests.factories import CarModelFactory, ListingFactory, MakeFactory, SellerFactory, UserFactory
from web.tables import lines, safe_cell

pytestmark = pytest.mark.django_db

EXPORT = "/admin/catalog/listing/export/"


def exported(client: Client, **query: str) -> list[dict[str, str]]:
    answer = client.get(EXPORT, query)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def values_of() -> list[dict]:
    """Listings, but for the last time that a file had them."""
    rows = Listing.objects.order_by("pk").values()
    return [{name: value for name, value in row.items() if name != "last_seen_at"} for row in rows]


def rich_listing() -> Listing:
    model = CarModelFactory(make=MakeFactory(name="Ford"), name="Focus")
    return ListingFactory(
        source="shop", external_id="1", car_model=model, title="=1+1, a fine “Focus”", description="Two lines:\n- abs",
        tags=["abs", "tow bar"], price=Decimal("8000.50"), mileage_km=12_345, drive="front", colour="red",
        consumption_l_100km=5.4, doors=5, seats=5, owner_count=2, annual_tax=Decimal("165.00"), place="Leeds",
        latitude=53.8, longitude=-1.55, photo_url="https://example.com/1.jpg", condition="demo", damage="repaired",
        photos=["https://example.com/1.jpg", "https://example.com/2.jpg"], first_registration=201803,
        posted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), url="https://example.com/7", vin="WVWZZZ1KZAW000001",
        manufacturer_colour="Tornado Red", vat="added",
        seller=SellerFactory(external_id="shop/77", name="+Smith", kind="private"),
    )  # fmt: skip


def test_what_was_exported_comes_in_again_unchanged(operator: Client, tmp_path):
    rich_listing()
    ListingFactory(source="shop", external_id="2", sold=True, seller=SellerFactory(external_id="elsewhere-3"))
    ListingFactory(source="shop", external_id="3", bare=True, title="A car", status="draft", published_at=None)
    before, sellers = values_of(), list(Seller.objects.order_by("pk").values())
    path = tmp_path / "shop.csv"
    path.write_bytes(b"".join(operator.get(EXPORT).streaming_content))
    run = import_listings(path=path, options=ImportOptions(source="shop"))
    assert (run.rows_read, run.listings_unchanged, run.rows_refused) == (3, 3, 0)
    assert list(run.problems.values_list("row_number", "reason")) == [(3, "no price: a new listing waits as a draft")]
    assert values_of() == before
    assert list(Seller.objects.order_by("pk").values()) == sellers


def test_an_exported_stock_makes_the_same_stock_elsewhere(operator: Client, tmp_path):
    listing = rich_listing()
    path = tmp_path / "shop.csv"
    path.write_bytes(b"".join(operator.get(EXPORT).streaming_content))
    expected = {name: value for name, value in values_of()[0].items() if name not in CHANGES_WITH_A_ROW}
    listing.delete()
    import_listings(path=path, options=ImportOptions(source="shop"))
    assert {name: value for name, value in values_of()[0].items() if name not in CHANGES_WITH_A_ROW} == expected


CHANGES_WITH_A_ROW = {"id", "last_seen_at", "created_at", "updated_at", "published_at", "search_text"}


def test_no_cell_is_a_formula(operator: Client):
    rich_listing()
    (row,) = exported(operator)
    assert row["title"] == "'=1+1, a fine “Focus”"
    assert row["advertiser"] == "'+Smith"
    assert row["longitude"] == "-1.55"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1", "'=1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("\n=1", "'\n=1"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        (-1, -1),
        (None, ""),
        ("a=", "a="),
    ],
)
def test_a_text_that_a_spreadsheet_would_calculate_is_guarded(value, cell):
    assert safe_cell(value) == cell


def test_the_file_holds_what_the_list_shows(operator: Client):
    cheap, expensive = ListingFactory(price=5_000), ListingFactory(price=50_000, title="Octavia estate")
    ListingFactory(price=4_000, sold=True)
    assert [row["listing"] for row in exported(operator, price_to="6000", status__exact="live")] == [str(cheap.pk)]
    assert [row["listing"] for row in exported(operator, q="estate")] == [str(expensive.pk)]


def test_a_filter_that_makes_no_sense_leads_back_to_the_list(operator: Client):
    assert operator.get(EXPORT, {"status__exact__no": "live"}).status_code == 302


def test_the_list_links_to_the_file_of_just_its_rows(operator: Client):
    page = operator.get("/admin/catalog/listing/", {"status__exact": "live"})
    assert f'href="{EXPORT}?status__exact=live"' in page.text


def test_rows_are_read_through_a_cursor_of_the_server(operator: Client):
    ListingFactory.create_batch(3)
    with CaptureQueriesContext(connection) as queries:
        rows = list(exported_rows(Listing.objects.all()))
    assert len(rows) == 3
    assert len(queries) <= 1  # a named cursor is not counted by Django, a second query would be
    assert next(iter(lines(HEADINGS, iter(rows)))).startswith("external_id,make,model")


def test_only_who_may_see_listings_takes_them_away(client: Client):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(EXPORT).status_code == 403

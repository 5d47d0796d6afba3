"""One dealer, one seller, in however many sources; and two dealers who share numbers keep their own cars."""

import pytest
from django.db import connection
from django.utils import timezone

from catalog.imports.dealers import domain_of, keys_of_dealer, plain_name, plain_phone, plain_place, plain_vat
from catalog.imports.ingest import seller_key_of, store_rows
from catalog.imports.listing_row import ListingRow
from catalog.imports.options import ImportOptions
from catalog.imports.staging import staging_tables
from catalog.imports.staging_sql import SEPARATE
from catalog.imports.store import import_listings
from catalog.imports.undo import queue_undo, run_undo
from catalog.models import Feed, ImportRun, Listing, PriceChange, Seller, SellerKey
from catalog.services import complete_set
from tests.factories import SellerFactory

HEADER = "id,make,model,year,price,mileage,dealer id,dealer,town,phone,vat id,dealer website,seller type"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Autohaus Müller GmbH & Co. KG", "autohaus muller"), ("Smith & Sons Ltd.", "SMITH AND SONS"),
        ("Bil AB", "Bil"), ("Auto Novák s.r.o.", "Auto Novak"), ("The Car Shop", "Car Shop, LLC"), ("AG", "ag"),
    ],
)  # fmt: skip
def test_a_name_is_the_same_whatever_its_legal_form(one, other):
    assert plain_name(one) == plain_name(other) != ""


@pytest.mark.parametrize(
    ("read", "one", "other"),
    [
        (plain_place, "10115 Berlin", "Berlin (Mitte)"), (plain_place, "Leeds, LS1 4AP", "leeds"),
        (plain_phone, "+49 (0)30 1234567", "030/1234567"), (plain_phone, "+44 113 496 0000", "0113 496 0000; 0114 1"),
        (plain_vat, "DE 123 456 789", "de123456789"), (domain_of, "https://www.x-cars.de/stock?a=1", "info@x-cars.de"),
    ],
)  # fmt: skip
def test_what_stands_beside_a_name_is_the_same_however_it_is_written(read, one, other):
    assert read(one) == read(other) != ""


@pytest.mark.parametrize(
    ("name", "place", "phone", "address"),
    [
        ("Dealer", "Leeds", "", ""), ("North Cars", "", "123", "facebook.com/north"), ("N", "Leeds", "", ""),
        ("", "Leeds", "", ""),
    ],
)  # fmt: skip
def test_what_many_dealers_have_in_common_names_none(name, place, phone, address):
    assert keys_of_dealer(name, place, phone, "", address) == ()


# --- In the catalogue ------------------------------------------------------------------------------------------------
@pytest.fixture
def deliver(tmp_path, db):
    def deliver(source, *rows, header=HEADER, **options):
        path = tmp_path / "cars.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return import_listings(path=path, options=ImportOptions(source=source, distance_unit="km", **options))

    return deliver


def car(
    number,
    dealer_id,
    dealer,
    town="",
    phone="",
    vat="",
    website="",
    kind="dealer",
    *,
    name="Ford,Focus,2015",
    km=60_001,
):
    return f"{number},{name},8000,{km},{dealer_id},{dealer},{town},{phone},{vat},{website},{kind}"


SAME = [
    (("7", "North Cars Ltd", "Leeds"), ("A9", "NORTH CARS", "LS1 Leeds")),
    (("7", "North Cars Ltd", "", "+44 113 496 0000"), ("A9", "North Cars", "Leeds", "0113 4960000")),
    (("7", "North Cars", "Leeds", "", "GB 123456789"), ("A9", "North Cars", "", "", "GB123456789")),
    (("7", "North Cars", "", "", "", "www.north.uk"), ("A9", "North Cars", "", "", "", "https://north.uk/stock")),
    (("7", "North Cars", "Leeds"), ("", "North Cars", "Leeds")),
]
OTHER = [
    (("7", "North Cars", "Leeds"), ("A9", "North Cars", "York")),
    (("7", "North Cars", ""), ("A9", "North Cars", "")),
    (("7", "North Cars", "Leeds", "", "GB1234567", "n.uk"), ("A9", "North Cars", "York", "", "GB1234567", "n.uk")),
    (("7", "North Cars", "Leeds", "0113 4960000"), ("A9", "South Cars", "Leeds", "0113 4960000")),
    (("7", "Ann Lee", "Leeds", "", "", "", "private"), ("A9", "Ann Lee", "Leeds", "", "", "", "private")),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "n"), [(*pair, 1) for pair in SAME] + [(*pair, 2) for pair in OTHER])
def test_a_dealer_of_two_sources_is_one_seller_and_two_dealers_are_two(deliver, one, other, n):
    deliver("a", car(1, *one))
    deliver("b", car(1, *other))
    assert Seller.objects.count() == n
    assert Listing.objects.values("seller").distinct().count() == n
    deliver("b", car(2, *other, km=70_001))
    deliver("a", car(2, *one, km=80_001))
    assert (Seller.objects.count(), Listing.objects.count()) == (n, 4)


def test_within_a_source_its_ids_say_who_is_who(deliver):
    deliver("a", car(1, "7", "North Cars", "Leeds"), car(2, "8", "North Cars", "Leeds", km=70_001))
    assert Seller.objects.count() == 2


def test_a_client_systems_dealer_is_that_of_a_file_and_is_found_by_the_id_of_either(deliver):
    deliver("a", car(1, "7", "North Cars", "Leeds"))
    store_rows(source="b", rows=[ListingRow(external_id="x", make="Ford", make_slug="ford", seller_id="A9",
                                            seller_name="North Cars Ltd", place="Leeds")])  # fmt: skip
    seller = Seller.objects.get()
    assert set(Listing.objects.values_list("seller", flat=True)) == {seller.pk}
    assert complete_set(source="b", external_ids=["x"], seller_key=seller_key_of("b", "A9")).n_kept == 1


# --- Numbers that two dealers share ----------------------------------------------------------------------------------
def cars():
    rows = Listing.objects.order_by("pk").values_list("external_id", "seller__name", "car_model__name", "status")
    return [tuple(row) for row in rows]


NORTH, SOUTH = ("7", "North", "Leeds"), ("8", "South", "York")
BOTH = [("100", "North", "Focus", "live"), ("8/100", "South", "Golf", "live")]


@pytest.mark.parametrize("together", [True, False])
def test_two_dealers_of_a_source_who_share_a_number_keep_their_own_cars(deliver, together):
    north, south = car(100, *NORTH), car(100, *SOUTH, name="VW,Golf,2018", km=20_001)
    for files in [[north, south]] if together else [[north], [south]]:
        deliver("a", *files)
    assert cars() == BOTH
    for rows in ([south, north], [south], [north], [north, south]):
        run = deliver("a", *rows)
        assert (run.listings_unchanged, run.rows_read) == (len(rows), len(rows))
    assert cars() == BOTH


def test_a_shared_number_is_found_by_the_dealers_name_where_its_id_is_gone_and_again_by_the_id(deliver):
    north, south = car(100, *NORTH), car(100, *SOUTH, name="VW,Golf,2018", km=20_001)
    deliver("a", north, south)
    for rows in ([car(100, "", *NORTH[1:]), car(100, "", *SOUTH[1:], name="VW,Golf,2018", km=20_001)], [north, south]):
        assert deliver("a", *rows).listings_unchanged == 2
        assert cars() == BOTH


def test_a_file_that_names_its_dealers_by_an_id_from_one_day_on_has_the_same_cars(deliver):
    north, south = car(100, *NORTH), car(100, *SOUTH, name="VW,Golf,2018", km=20_001)
    named = [car(100, "", *NORTH[1:]), car(100, "", *SOUTH[1:], name="VW,Golf,2018", km=20_001)]
    deliver("a", *named)
    known = set(Listing.objects.values_list("pk", "external_id", "seller"))
    for rows in ([north, south], named, [south, north]):
        assert deliver("a", *rows).listings_unchanged == 2
        assert set(Listing.objects.values_list("pk", "external_id", "seller")) == known
    # of two ids that come for one name and town, one is the dealer who was there and the other is another one
    deliver("b", car(1, "", "East", "Hull"))
    deliver("b", car(1, "5", "East", "Hull"), car(2, "6", "East", "Hull", km=70_001))
    assert Seller.objects.filter(name="East").count() == 2


@pytest.mark.django_db
def test_ids_are_looked_up_by_the_index_however_few_listings_the_planner_expects():
    given = {"source": "new", "seller": None, "seen": timezone.now()}
    with staging_tables(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")  # of a table so small
        cursor.execute(f"EXPLAIN {SEPARATE}", given)
        lines = [line for (line,) in cursor.fetchall()]
    reads = [at for at, line in enumerate(lines) if "on catalog_listing" in line]
    assert len(reads) == 2
    assert all("Index Cond" in lines[at + 1] and "external_id" in lines[at + 1] for at in reads), "\n".join(lines)


def test_two_feeds_of_one_source_with_a_seller_each_keep_their_own_cars(deliver):
    header = "id,make,model,year,price,mileage"
    sellers = [SellerFactory(name="North"), SellerFactory(name="South")]
    rows = ["100,Ford,Focus,2015,8000,60001", "100,Ford,Focus,2015,8000,20001"]
    for _ in range(2):
        for seller, row in zip(sellers, rows, strict=True):
            deliver("a", row, header=header, seller=seller.pk)
    assert sorted(Listing.objects.values_list("seller__name", "mileage_km")) == [("North", 60001), ("South", 20001)]


def test_a_car_that_changes_its_dealer_stays_itself(deliver):
    deliver("a", car(100, *NORTH))
    deliver("a", car(100, *SOUTH))
    assert cars() == [("100", "South", "Focus", "live")]


@pytest.mark.parametrize("waiting", [("north",), ("south",), ("north", "south")])
def test_a_row_that_waits_is_one_of_its_own_dealers_car(deliver, waiting):
    deliver("a", car(100, *NORTH), car(100, *SOUTH, name="VW,Golf,2018", km=20_001))
    rows = {"north": car(100, *NORTH, name="Zzyzx,Focus,2015"), "south": car(100, *SOUTH, name="Zzyzx,Golf,2018")}
    run = deliver("a", *(rows[name] for name in waiting), complete="source")
    assert run.rows_refused == len(waiting)
    statuses = [status for *_, status in cars()]
    assert statuses == ["live" if name in waiting else "withdrawn" for name in ("north", "south")]


def test_a_row_that_waits_is_one_of_the_seller_of_its_feed(deliver):
    header = "id,make,model,year,price,mileage"
    north, south = SellerFactory(name="North"), SellerFactory(name="South")
    deliver("a", "100,Ford,Focus,2015,8000,60001", header=header, seller=north.pk)
    deliver("a", "100,Ford,Focus,2015,8000,20001", header=header, seller=south.pk)
    run = deliver("a", "100,Zzyzx,Focus,2015,8000,20001", header=header, seller=south.pk)
    assert Listing.objects.get(last_seen_at=run.seen_at).seller == south
    assert Listing.objects.get(last_seen_at__lt=run.seen_at).seller == north


# --- Rows of one car that have different keys ------------------------------------------------------------------------
@pytest.mark.parametrize("batch_rows", [1, 5_000])
@pytest.mark.parametrize("is_named_first", [True, False])
def test_a_row_without_a_dealer_repeats_the_one_that_names_it(deliver, monkeypatch, batch_rows, is_named_first):
    monkeypatch.setattr("catalog.imports.store.BATCH_ROWS", batch_rows)
    header = "id,make,model,year,price,mileage,dealer"
    rows = ["5,Ford,Focus,2015,8000,60001,AutoX", "5,Ford,Focus,2015,7900,60001,"]
    rows = rows if is_named_first else rows[::-1]
    for counts in [(1, 0, 0, 1), (0, 0, 1, 1)]:
        run = deliver("a", *rows, header=header)
        assert (run.listings_created, run.listings_updated, run.listings_unchanged, run.rows_repeated) == counts
        assert run.rows_read == 2
        assert Listing.objects.get().price == (8000 if is_named_first else 7900)
    assert not PriceChange.objects.exists()
    assert "other values" in run.problems.get().reason


@pytest.mark.parametrize("batch_rows", [1, 5_000])
def test_two_spellings_of_one_dealer_repeat_one_car(deliver, monkeypatch, batch_rows):
    monkeypatch.setattr("catalog.imports.store.BATCH_ROWS", batch_rows)
    deliver("b", car(1, "A9", "North Cars", "Leeds"))
    rows = [car(5, "", name, "Leeds", km=km) for name, km in (("North Cars Ltd", 70_001), ("North Cars GmbH", 70_002))]
    for _ in range(2):
        run = deliver("a", *rows)
        assert (run.rows_repeated, Listing.objects.get(source="a").mileage_km) == (1, 70_001)
    assert Seller.objects.count() == 1


# --- Undoing ---------------------------------------------------------------------------------------------------------
def keys():
    return set(SellerKey.objects.values_list("seller__name", "key"))


@pytest.mark.parametrize("source", ["a", "b"])
def test_undoing_takes_the_keys_away_by_which_two_dealers_were_joined(deliver, source):
    deliver("a", car(1, *NORTH))
    before = keys()
    row = NORTH if source == "a" else ("9", "North", "Leeds")
    run = deliver(source, car(2, *row, "0113 4960000", "GB123456789", km=80_001))
    assert keys() > before
    assert Seller.objects.count() == 1
    run_undo(undo_id=queue_undo(run=ImportRun.objects.get(pk=run.pk)).pk)
    assert (keys(), run.names.count()) == (before, 0)


def test_undoing_takes_a_seller_away_with_its_keys(deliver):
    Feed.objects.create(name="x", source="x")
    deliver("a", car(1, *NORTH))
    run = deliver("b", car(1, *SOUTH, km=70_001), car(2, "9", "North", "Leeds", km=80_001))
    run_undo(undo_id=queue_undo(run=ImportRun.objects.get(pk=run.pk)).pk)
    assert [seller.name for seller in Seller.objects.all()] == ["North"]

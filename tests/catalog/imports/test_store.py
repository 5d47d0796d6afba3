"""Files brought into the catalogue: what is stored, what is counted, and what a second reading changes."""

import gzip
import io
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from catalog.exceptions import FileRefused, ImportRefused
from catalog.imports import store
from catalog.imports.reading import ImportOptions, source_of
from catalog.imports.store import import_listings
from catalog.models import CarModel, ImportRun, Listing, ListingChange, Make, PriceChange, Seller
from catalog.signals import listings_stored
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db

CARS = """id,make,model,year,price,mileage,fuel
1,Ford,Focus,2015,8000,60000,Petrol
2,VW,Golf,2016,9000,50000,Diesel
3,Kia,Rio,2014,5000,70000,Petrol
"""


@pytest.fixture
def bring_in(tmp_path):
    """Write a table to a file and import it; returns the run."""

    def bring_in(table, name="cars.csv", **options):
        path = tmp_path / name
        path.write_bytes(table.encode() if isinstance(table, str) else table)
        return import_listings(path=path, options=ImportOptions(**{"source": "shop", "distance_unit": "km"} | options))

    return bring_in


def counts(run):
    return (
        run.rows_read, run.listings_created, run.listings_updated,
        run.listings_unchanged, run.rows_repeated, run.rows_refused,
    )  # fmt: skip


def test_cars_of_a_file_are_for_sale_at_once_and_can_be_found(bring_in):
    run = bring_in(CARS)
    assert run.status == ImportRun.Status.DONE
    assert counts(run) == (3, 3, 0, 0, 0, 0)
    focus = Listing.objects.get(source="shop", external_id="1")
    assert (focus.make.slug, focus.car_model.slug, focus.title) == ("ford", "focus", "Ford Focus")
    assert (focus.status, focus.price, focus.mileage_km, focus.fuel) == ("live", 8000, 60000, "petrol")
    assert timezone.now() - focus.published_at < timedelta(minutes=1)
    assert Listing.objects.available().filter(search_text="focus").get() == focus


def listings_but_for(*names):
    rows = Listing.objects.order_by("pk").values()
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def test_the_same_file_again_changes_nothing(bring_in):
    bring_in(CARS)
    before = listings_but_for("last_seen_at")
    assert counts(bring_in(CARS)) == (3, 0, 0, 3, 0, 0)
    assert listings_but_for("last_seen_at") == before
    assert not PriceChange.objects.exists()


def test_a_changed_car_is_updated_and_its_price_history_kept(bring_in):
    bring_in(CARS)
    assert counts(bring_in(CARS.replace("8000", "7500"))) == (3, 0, 1, 2, 0, 0)
    change = PriceChange.objects.get()
    assert (change.listing.external_id, change.old_price, change.new_price) == ("1", 8000, 7500)
    assert change.listing.price == 7500


def test_a_price_in_another_currency_is_no_step_in_the_history(bring_in):
    bring_in(CARS)
    bring_in(CARS, currency="EUR")
    assert not PriceChange.objects.exists()
    assert set(Listing.objects.values_list("currency", flat=True)) == {"EUR"}


def test_what_the_file_does_not_say_is_never_erased(bring_in):
    bring_in(CARS)
    Listing.objects.filter(external_id="1").update(body="hatchback", title="A fine Focus", tags=["abs"])
    run = bring_in(CARS.replace("Petrol", "").replace("60000", ""))
    focus = Listing.objects.get(external_id="1")
    assert (focus.body, focus.title, focus.tags, focus.fuel, focus.mileage_km) == (
        "hatchback", "A fine Focus", ["abs"], "petrol", 60000,
    )  # fmt: skip
    assert run.listings_unchanged == 3


def test_a_file_without_ids_knows_its_cars_by_what_it_says(bring_in):
    table = "\n".join(line.partition(",")[2] for line in CARS.splitlines())
    bring_in(table)
    assert counts(bring_in(table)) == (3, 0, 0, 3, 0, 0)
    assert Listing.objects.filter(external_id=None).exclude(fingerprint="").count() == 3


def test_named_fields_can_tell_cars_apart_so_that_their_price_may_change(bring_in):
    table = "\n".join(line.partition(",")[2] for line in CARS.splitlines())
    key = ("make_slug", "model_slug", "year", "mileage_km")
    bring_in(table, key=key)
    assert counts(bring_in(table.replace("8000", "7500"), key=key)) == (3, 0, 1, 2, 0, 0)
    assert PriceChange.objects.get().new_price == 7500


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_rows_that_repeat_a_car_are_counted_and_the_first_is_kept(bring_in, monkeypatch, batch_rows):
    monkeypatch.setattr(store, "BATCH_ROWS", batch_rows)
    table = CARS + "1,Ford,Focus,2015,8000,60000,Petrol\n1,Ford,Focus,2015,7000,60000,Petrol\n"
    run = bring_in(table)
    assert counts(run) == (5, 3, 0, 0, 2, 0)
    assert Listing.objects.get(external_id="1").price == 8000
    problem = run.problems.get()
    assert (problem.row_number, problem.is_fatal) == (5, False)
    assert "other values" in problem.reason
    assert counts(bring_in(table)) == (5, 0, 0, 3, 2, 0)


def test_every_row_read_is_accounted_for(bring_in, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    bring_in(CARS)
    table = (
        CARS.replace("9000", "8500") + "4,Audi,A3,2019,15000,10,Petrol\n,,,,,,\n1,Ford,Focus,2015,8000,60000,Petrol\n"
    )
    run = bring_in(table)
    assert counts(run) == (6, 1, 1, 2, 1, 1)
    assert run.rows_read == sum(counts(run)[1:])


def test_ids_of_two_sources_do_not_meet(bring_in):
    bring_in(CARS, source="one")
    bring_in(CARS, source="two")
    assert Listing.objects.count() == 6


def test_a_source_is_named_after_its_file_unless_it_is_said(tmp_path):
    assert source_of(tmp_path / "Berlin Mitte.csv.gz") == "berlin-mitte"
    assert source_of(tmp_path / "stock") == "stock"


def test_makes_and_models_are_added_once_and_under_one_name(bring_in):
    bring_in("make,model,price,year\nVW,Golf,1000,2010\nVolkswagen, GOLF,2000,2011\nvolkswagen,Golf,3000,2012\n")
    assert list(Make.objects.values_list("name", "slug")) == [("Volkswagen", "volkswagen")]
    assert list(CarModel.objects.values_list("name", flat=True)) == ["Golf"]


def test_an_unreadable_value_is_noted_and_the_car_stored_without_it(bring_in):
    run = bring_in(CARS.replace("2015", "2999"))
    assert counts(run) == (3, 3, 0, 0, 0, 0)
    assert Listing.objects.get(external_id="1").year is None
    problem = run.problems.get()
    assert (problem.row_number, problem.column, problem.value, problem.reason, problem.is_fatal) == (
        1, "year", "2999", "a year in the future", False,
    )  # fmt: skip


def test_an_unreadable_row_is_refused_with_its_number_and_no_other_is_lost(bring_in):
    run = bring_in(CARS.replace("2,VW,Golf,2016,9000,50000,Diesel", ",,,,,,"))
    assert counts(run) == (3, 2, 0, 0, 0, 1)
    problem = run.problems.get()
    assert (problem.row_number, problem.reason, problem.is_fatal) == (2, "the row is empty", True)


def test_problems_are_counted_by_kind_and_stored_up_to_a_limit(bring_in, monkeypatch):
    monkeypatch.setattr(store, "STORED_PROBLEMS_PER_KIND", 2)
    rows = "".join(f"{number},Ford,Focus,2999,8000,1,Petrol\n" for number in range(5))
    run = bring_in("id,make,model,year,price,mileage,fuel\n" + rows)
    assert run.problems.count() == 2
    assert run.options["problems"] == [
        {"column": "year", "reason": "a year in the future", "is_fatal": False, "count": 5, "examples": ["2999"]}
    ]


def test_a_car_without_a_price_waits_as_a_draft_and_goes_live_with_it(bring_in):
    run = bring_in(CARS.replace("8000", "POA"))
    focus = Listing.objects.get(external_id="1")
    assert (focus.status, focus.published_at) == ("draft", None)
    assert run.problems.get().reason == "no price: a new listing waits as a draft"
    bring_in(CARS)
    focus.refresh_from_db()
    assert (focus.status, focus.price) == ("live", 8000)
    assert focus.published_at is not None


@pytest.mark.parametrize("status", ["sold", "withdrawn", "reserved"])
def test_a_car_that_left_the_market_stays_away_though_the_file_still_has_it(bring_in, status):
    bring_in(CARS)
    ended_at = None if status == "reserved" else timezone.now()
    Listing.objects.filter(external_id="1").update(status=status, ended_at=ended_at)
    bring_in(CARS.replace("8000", "7500"))
    focus = Listing.objects.get(external_id="1")
    assert (focus.status, focus.price) == (status, 7500)


def test_an_expired_car_that_is_in_the_file_again_is_for_sale_again(bring_in):
    bring_in(CARS)
    long_ago = timezone.now() - timedelta(days=100)
    Listing.objects.filter(external_id="1").update(status="expired", published_at=long_ago, ended_at=long_ago)
    assert bring_in(CARS).listings_updated == 1
    focus = Listing.objects.get(external_id="1")
    assert (focus.status, focus.ended_at) == ("live", None)
    assert focus.published_at == long_ago  # its advert is no newer for having been away


def test_a_status_in_the_file_is_obeyed_both_ways(bring_in):
    table = "id,make,price,status\n1,Ford,8000,{}\n"
    bring_in(table.format("available"))
    bring_in(table.format("verkauft"))
    ford = Listing.objects.get(external_id="1")
    assert ford.status == "sold"
    assert ford.ended_at is not None
    bring_in(table.format("available"))
    ford.refresh_from_db()
    assert (ford.status, ford.ended_at) == ("live", None)


def test_sellers_are_known_by_id_then_by_name_and_private_ones_stand_alone(bring_in):
    bring_in(
        "id,make,price,seller id,dealer name,seller type\n"
        "1,Ford,1,77,Smith Cars,dealer\n2,Ford,2,77,Smith Cars,dealer\n3,Ford,3,,Jones,\n4,Ford,4,,,private\n"
        "5,Ford,5,,,private\n6,Ford,6,,,\n"
    )
    sellers = dict(Listing.objects.order_by("external_id").values_list("external_id", "seller__name"))
    assert sellers == {
        "1": "Smith Cars", "2": "Smith Cars", "3": "Jones", "4": "Private seller", "5": "Private seller", "6": None,
    }  # fmt: skip
    assert Seller.objects.filter(kind="private").count() == 2
    assert Seller.objects.count() == 4


def test_a_dry_run_counts_the_same_and_stores_no_car(bring_in, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    bring_in("id,make,model,year,price,mileage,fuel\n1,Ford,Focus,2015,8000,60000,Petrol\n")
    before = list(Listing.objects.values())
    table = CARS.replace("8000", "7000") + "3,Kia,Rio,2014,5000,70000,Petrol\n,,,,,,\n"
    rehearsal = bring_in(table, is_dry_run=True)
    assert list(Listing.objects.values()) == before
    assert Make.objects.count() == 1
    assert not PriceChange.objects.exists()
    assert rehearsal.is_dry_run
    assert rehearsal.status == ImportRun.Status.DONE
    assert counts(rehearsal) == counts(bring_in(table)) == (5, 2, 1, 0, 1, 1)


def test_listeners_hear_of_new_and_changed_cars_after_the_commit(bring_in, django_capture_on_commit_callbacks):
    heard = []

    def listen(sender, listing_ids, **kwargs):
        heard.extend(listing_ids)

    listings_stored.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            bring_in(CARS)
        assert sorted(heard) == sorted(Listing.objects.values_list("pk", flat=True))
        heard.clear()
        with django_capture_on_commit_callbacks(execute=True):
            bring_in(CARS.replace("8000", "7500"))
            bring_in(CARS.replace("9000", "1"), is_dry_run=True)
        assert heard == [Listing.objects.get(external_id="1").pk]
    finally:
        listings_stored.disconnect(listen)


def test_a_listener_that_fails_does_not_stop_the_import(bring_in, django_capture_on_commit_callbacks):
    def fail(sender, **kwargs):
        raise RuntimeError("no vectors today")

    listings_stored.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert bring_in(CARS).status == ImportRun.Status.DONE
    finally:
        listings_stored.disconnect(fail)


def test_every_stored_car_is_noted_for_the_listing_indexes(bring_in):
    bring_in(CARS)
    noted = ListingChange.objects.values_list("listing_id", flat=True)
    assert set(noted) == set(Listing.objects.values_list("pk", flat=True))


def test_an_interrupted_run_keeps_its_batches_and_a_second_one_ends_the_same(bring_in, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 1)
    path = tmp_path / "cars.csv"
    path.write_text(CARS)
    options = ImportOptions(source="shop", distance_unit="km")

    def interrupt(position, size, run):
        if run.rows_read == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_listings(path=path, options=options, report=interrupt)
    run = ImportRun.objects.get()
    assert run.status == ImportRun.Status.INTERRUPTED
    assert run.rows_read == sum(counts(run)[1:])
    assert (run.rows_read, run.listings_created, Listing.objects.count()) == (2, 2, 2)
    assert counts(import_listings(path=path, options=options)) == (3, 1, 0, 2, 0, 0)
    assert Listing.objects.available().count() == 3


def test_a_run_that_was_killed_is_marked_by_the_next_one(bring_in):
    killed = ImportRun.objects.create(file_name="cars.csv", source="shop", status="running")
    other = ImportRun.objects.create(file_name="cars.csv", source="another", status="running")
    bring_in(CARS)
    killed.refresh_from_db()
    other.refresh_from_db()
    assert killed.status == ImportRun.Status.INTERRUPTED
    assert other.status == ImportRun.Status.RUNNING


def test_an_archive_that_breaks_off_fails_its_run_and_keeps_what_came(bring_in, monkeypatch):
    rows = "".join(f"{number},Ford,Focus,2015,{number * 7919 % 99991 + 1}\n" for number in range(8_000))
    packed = gzip.compress(("id,make,model,year,price\n" + rows).encode())
    monkeypatch.setattr(store, "BATCH_ROWS", 5_000)
    with pytest.raises(FileRefused, match="breaks off"):
        bring_in(packed[: len(packed) * 19 // 20])
    run = ImportRun.objects.get()
    assert run.status == ImportRun.Status.FAILED
    assert "breaks off after row" in run.error
    assert run.listings_created == Listing.objects.count() == 5_000


def test_one_source_is_imported_by_one_process_at_a_time(bring_in):
    wanted = ("host", "port", "user", "password", "dbname")
    parameters = {name: value for name, value in connection.get_connection_params().items() if name in wanted}
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('forecourt.import.shop', 0))")
        with pytest.raises(ImportRefused, match="imported already"):
            bring_in(CARS)
    assert not Listing.objects.exists()


def test_listings_of_other_origin_are_left_alone(bring_in):
    other = ListingFactory(external_id="1", price=1)
    bring_in(CARS)
    other.refresh_from_db()
    assert other.price == 1


def test_a_refused_file_leaves_no_run_behind(bring_in):
    with pytest.raises(FileRefused):
        bring_in(b"")
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"currency": "XXX"}, "not a currency"),
        ({"distance_unit": "furlong"}, "km or mi"),
        ({"key": ("colours",)}, "not a field"),
        ({"source": "x" * 81}, "80 characters"),
        ({"mapping": "narnia"}, "no mapping"),
    ],
)
def test_nonsensical_options_are_refused_by_name(bring_in, options, message):
    with pytest.raises(ImportRefused, match=message):
        bring_in(CARS, **options)


# --- The command -----------------------------------------------------------------------------------------------------
@pytest.fixture
def command(tmp_path):
    def command(table, *arguments):
        path = tmp_path / "cars.csv"
        path.write_text(table)
        out = io.StringIO()
        call_command("import_listings", str(path), *arguments, stdout=out)
        return out.getvalue()

    return command


def test_the_command_says_what_became_of_the_rows(command):
    output = command(CARS.replace("2015", "2999"), "--distance-unit", "km")
    assert "source “cars”" in output
    assert "3  listings created" in output
    assert "year: a year in the future (value dropped; “2999”)" in output
    assert "assumed: prices name no currency: read as GBP" in output


def test_the_command_can_be_quiet(command):
    assert command(CARS, "--quiet") == ""


def test_the_command_maps_columns_by_hand(command):
    command("Fabrikat;Egg;Zahl\nFord;Focus;8000\n", "--map", "Egg=model", "--map", "Zahl=price", "--currency", "eur")
    listing = Listing.objects.get()
    assert (listing.make.slug, listing.car_model.slug, listing.price, listing.currency) == (
        "ford", "focus", Decimal(8000), "EUR",
    )  # fmt: skip


def test_the_command_rehearses(command):
    assert "3  listings would be created" in command(CARS, "--dry-run")
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        ("", (), "is empty"),
        ("Hersteler;Preiss\nFord;8000\n", (), "may be price"),
        (CARS, ("--map", "price"), "COLUMN=FIELD"),
        (CARS, ("--map", "Pries=price"), "did you mean price"),
        (CARS, ("--mapping", "narnia"), "no mapping"),
    ],
)
def test_the_command_refuses_in_words(command, table, arguments, message):
    with pytest.raises(CommandError, match=message):
        command(table, *arguments)


def test_the_command_refuses_a_missing_file(tmp_path):
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import_listings", str(tmp_path / "none.csv"))

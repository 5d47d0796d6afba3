"""Complete deliveries: what a file no longer has ends, comes back, or waits for an operator."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from catalog.exceptions import AbsenceDecided, ImportRefused
from catalog.imports.absence import decide_absence
from catalog.imports.jobs import options_of
from catalog.imports.options import ImportOptions
from catalog.imports.reading import settle_source
from catalog.imports.store import import_listings
from catalog.imports.undo import queue_undo, run_undo
from catalog.models import ImportRun, Listing, ListingChange
from catalog.services import expire_listings, mark_sold

pytestmark = pytest.mark.django_db
HEADER = "id,make,model,year,price,mileage,dealer"


def car(number, *, price=8000, dealer="North Cars"):
    return f"{number},Ford,Focus,2015,{price},{60_000 + number},{dealer}"


@pytest.fixture
def deliver(tmp_path):
    """Import a complete file of these rows, or of the cars with these numbers; returns the run."""

    def deliver(*rows, **options):
        path = tmp_path / "cars.csv"
        path.write_text("\n".join([HEADER, *(row if isinstance(row, str) else car(row) for row in rows)]) + "\n")
        asked = {"source": "shop", "distance_unit": "km", "complete": "source"} | options
        return import_listings(path=path, options=ImportOptions(**asked))

    return deliver


def status_of(number):
    return Listing.objects.get(external_id=str(number)).status


def statuses():
    return {int(name): status for name, status in Listing.objects.values_list("external_id", "status")}


def account(run):
    return run.absence, run.listings_missing, run.listings_ended


@pytest.mark.parametrize("becomes", ["withdrawn", "sold"])
@pytest.mark.parametrize("misses", [1, 2, 3])
def test_what_is_missing_ends_after_so_many_deliveries(deliver, becomes, misses):
    deliver(1, 2, 3)
    for n_missed in range(1, misses + 1):
        run = deliver(1, 2, missing=becomes, misses=misses)
        ends = n_missed == misses
        assert account(run) == ("counted", 1, int(ends))
        assert status_of(3) == (becomes if ends else "live")
    assert Listing.objects.get(external_id="3").ended_at is not None
    assert account(deliver(1, 2)) == ("counted", 0, 0)


def test_a_delivery_that_has_the_car_again_begins_the_count_anew(deliver):
    deliver(1, 2, 3)
    for rows in ((1, 2), (1, 2, 3), (1, 2)):
        deliver(*rows, misses=2)
    assert status_of(3) == "live"


@pytest.mark.parametrize("becomes", ["withdrawn", "sold"])
def test_a_car_that_comes_back_keeps_its_publication(deliver, becomes):
    deliver(1, 2, 3)
    long_ago = timezone.now() - timedelta(days=20)
    Listing.objects.update(published_at=long_ago)
    deliver(1, 2, missing=becomes)
    deliver(1, 2, 3, missing=becomes)
    back = Listing.objects.get(external_id="3")
    assert (back.status, back.published_at, back.ended_at, back.missed_runs) == ("live", long_ago, None, 0)


def test_what_a_person_sold_does_not_come_back(deliver):
    deliver(1, 2, 3)
    deliver(1, 2)
    mark_sold(listing=Listing.objects.get(external_id="3"))
    deliver(1, 2, 3)
    assert status_of(3) == "sold"


@pytest.mark.parametrize("options", [{"complete": ""}, {"is_dry_run": True}])
def test_a_file_that_is_not_complete_or_only_tried_ends_nothing(deliver, options):
    deliver(1, 2, 3)
    assert account(deliver(1, **options)) == ("", 0, 0)
    assert status_of(3) == "live"


def test_other_sources_are_left_alone(deliver):
    deliver(1, 2, 3)
    deliver(4, 5, 6, source="garage")
    deliver(4, 5, source="garage")
    assert statuses() == {1: "live", 2: "live", 3: "live", 4: "live", 5: "live", 6: "withdrawn"}


@pytest.mark.parametrize(("n_left", "waits"), [(10, False), (7, False), (6, True), (1, True), (0, True)])
def test_more_missing_than_the_share_waits_for_an_operator(deliver, n_left, waits):
    deliver(*range(10))
    run = deliver(*range(n_left), *(["0,,,,,,", "1,,,,,,"] if not n_left else []))
    assert run.absence == ("waiting" if waits else "counted")
    assert set(statuses().values()) == ({"live"} if waits or n_left == 10 else {"live", "withdrawn"})


def test_new_ids_for_every_car_wait_too(deliver):
    deliver(*range(10))
    assert deliver(*range(10, 20)).absence == "waiting"


def test_one_sellers_empty_export_is_held_and_the_others_go_on(deliver):
    north = [car(number) for number in range(20)]
    south = [car(number, dealer="South Cars") for number in range(20, 25)]
    deliver(*north, *south)
    run = deliver(*north[1:], south[0])
    assert account(run) == ("waiting", 5, 1)
    assert (status_of(0), status_of(24)) == ("withdrawn", "live")


def test_a_file_may_be_complete_for_its_sellers_alone(deliver):
    north = [car(number) for number in range(4)]
    south = [car(number, dealer="South Cars") for number in range(4, 8)]
    deliver(*north, complete="sellers")
    deliver(*south, complete="sellers")
    assert set(statuses().values()) == {"live"}
    assert account(deliver(*south[1:], complete="sellers")) == ("counted", 1, 1)
    assert status_of(0) == "live"


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_operator_decides(deliver, is_gone):
    deliver(*range(10))
    run = deliver(0, 1, misses=3)
    Listing.objects.filter(external_id="9").update(last_seen_at=timezone.now())  # another delivery had it since
    n_ended = decide_absence(run=run, options=options_of(run), is_gone=is_gone, by=None)
    assert n_ended == (7 if is_gone else 0)
    run.refresh_from_db()
    assert run.absence == ("confirmed" if is_gone else "kept")
    assert (status_of(2), status_of(9)) == ("withdrawn" if is_gone else "live", "live")
    with pytest.raises(AbsenceDecided):
        decide_absence(run=run, options=options_of(run), is_gone=True, by=None)


def test_a_later_delivery_decides_what_waits(deliver):
    deliver(*range(10))
    broken = deliver(0)
    deliver(*range(9))
    broken.refresh_from_db()
    assert broken.absence == "overtaken"
    assert sorted(status_of(number) for number in range(10)) == ["live"] * 9 + ["withdrawn"]


def test_what_ended_comes_back_with_the_undoing(deliver):
    deliver(1, 2, 3)
    run = deliver(1, 2)
    run_undo(undo_id=queue_undo(run=run).pk)
    back = Listing.objects.get(external_id="3")
    assert (back.status, back.ended_at, back.missed_runs) == ("live", None, 0)


def test_expiry_counts_from_the_last_delivery(deliver, settings):
    deliver(1, 2)
    long_ago = timezone.now() - timedelta(days=settings.LISTING_LIFETIME_DAYS + 1)
    Listing.objects.update(published_at=long_ago, last_seen_at=long_ago)
    deliver(1, complete="")
    Listing.objects.filter(external_id="1").update(published_at=long_ago)
    assert expire_listings(now=timezone.now()) == 1
    assert statuses() == {1: "live", 2: "expired"}


def test_a_delivery_without_news_is_no_change(deliver):
    deliver(1, 2)
    before = list(Listing.objects.order_by("pk").values_list("last_seen_at", "updated_at"))
    n_changes = ListingChange.objects.count()
    run = deliver(1, 2)
    after = list(Listing.objects.order_by("pk").values_list("last_seen_at", "updated_at"))
    assert [seen for seen, _ in after] == [run.seen_at] * 2 > [seen for seen, _ in before]
    assert [changed for _, changed in after] == [changed for _, changed in before]
    assert ListingChange.objects.count() == n_changes
    Listing.objects.update(place="Leeds")
    assert ListingChange.objects.count() == n_changes + 2


def test_a_month_of_nightly_files(deliver):
    """Cars come and go, one night the export breaks off, one night it does not come at all."""
    stock = list(range(40))
    deliver(*stock, misses=2)
    for night in range(30):
        stock = [*stock[1:], 100 + night]
        if night != 20:
            deliver(*(stock[:5] if night == 10 else stock), misses=2)
    deliver(*stock, misses=2)
    live = {number for number, status in statuses().items() if status == "live"}
    assert live == set(stock)
    assert ImportRun.objects.filter(absence="waiting").count() == 0


def test_the_command_says_that_it_waits(tmp_path, capsys):
    path = tmp_path / "shop.csv"
    for n_cars in (10, 5):
        path.write_text("\n".join([HEADER, *map(car, range(n_cars))]) + "\n")
        if n_cars == 10:
            call_command("import_listings", path, complete="source")
        else:
            with pytest.raises(CommandError, match="5 listings are missing") as refusal:
                call_command("import_listings", path, complete="source")
            assert refusal.value.returncode == 3
    assert "5  listings on offer are missing, of which 0 were withdrawn" in capsys.readouterr().out
    call_command("import_listings", path, complete="source", most_missing=1.0)
    assert "5  listings on offer are missing, of which 5 were withdrawn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"complete": "all"}, "complete for its source or its sellers"),
        ({"missing": "live"}, "withdrawn or sold"),
        ({"misses": -1}, "between 1 and"),
        ({"most_missing": 30}, "between 0 and 1"),
    ],
)
def test_nonsense_is_refused_by_name(option, message):
    with pytest.raises(ImportRefused, match=message):
        ImportOptions(**option)


@pytest.mark.parametrize(
    "name",
    [
        "stock_2026-11-28.csv.gz", "berlin-20261128.csv", "export 28.11.2026.xlsx", "281126_cars.csv",
        "cars.2026.11.28", "stock (2).csv", "stock-kw48.csv", "bestand_november.csv", "monday.csv",
        "feed-1764316800.json", "Fahrzeuge 2026.csv",
        "28Nov2026-cars.csv", "listing_export_000123.csv", "stock_11-28.csv",
    ],
)  # fmt: skip
def test_a_source_is_never_named_after_a_dated_file(name):
    with pytest.raises(ImportRefused, match="--source"):
        settle_source(name, ImportOptions())
    assert settle_source(name, ImportOptions(source="berlin")) == "berlin"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("Berlin.csv.gz", "berlin"), ("uk_used_cars.csv", "uk-used-cars"), ("03_meta_feed.xml", "03-meta-feed"),
        ("group7.csv", "group7"), ("marchand.csv", "marchand"), ("Dealer 12.csv", "dealer-12"), ("cars.7z", "cars"),
    ],
)  # fmt: skip
def test_a_steady_name_names_the_source(name, source):
    assert settle_source(name, ImportOptions()) == source

"""Bad rows wait on the page of their run: mended there, or taught to the profile, and read again."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from catalog.exceptions import ImportRefused, MendRefused
from catalog.imports.bad_rows import kinds_of, rows_of, values_of
from catalog.imports.feeds import options_of_feed, queue_feed, see_again
from catalog.imports.jobs import run_import
from catalog.imports.mending import queue_mend, run_mend
from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.imports.teaching import edit_row, edited_cells, teach_heading, teach_value, teach_word
from catalog.imports.undo import queue_undo, run_undo
from catalog.imports.uploads import keep_file
from catalog.models import BadRow, CarModel, Feed, ImportMend, ImportRun, Listing, Make, PriceChange, Seller
from catalog.services import change_price, mark_sold, withdraw_listing
from tests.factories import ListingFactory, MakeFactory, SellerFactory, UserFactory

pytestmark = pytest.mark.django_db
HEADER = "id,make,model,year,price,mileage,fuel,status"
GOOD = "1,Ford,Focus,2015,8000,60001,petrol,available"


@pytest.fixture
def deliver(tmp_path):
    def deliver(*rows, header=HEADER, **options):
        path = tmp_path / "cars.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return import_listings(path=path, options=ImportOptions(source="shop", distance_unit="km", **options))

    return deliver


@pytest.fixture
def feed():
    return Feed.objects.create(name="North", source="north", options={"distance_unit": "km"})


def ran(feed, *rows, header=HEADER):
    file = ContentFile("\n".join([header, *rows]).encode(), name="cars.csv")
    feed.refresh_from_db()
    run = queue_feed(feed, upload=keep_file(file=file))
    run_import(run_id=run.pk)
    run.refresh_from_db()
    return run


def kind_of(run, field):
    return next(kind for kind in kinds_of(run) if kind.field == field)


def mended(run, rows=None):
    mend = queue_mend(run=run, rows=run.bad_rows.all() if rows is None else rows)
    run_mend(mend_id=mend.pk)
    run.refresh_from_db()
    mend.refresh_from_db()
    assert mend.status == "done", mend.error
    return mend.n_mended, mend.n_left


def account(run):
    counts = run.listings_created, run.listings_updated, run.listings_unchanged, run.rows_repeated, run.rows_refused
    assert run.rows_read == sum(counts)
    return counts


# --- Names that wait -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "model", "field", "near"),
    [
        ("Vauxhal", "Corsa", "make", "Vauxhall"), ("Toyta", "Yaris", "make", "Toyota"),
        ("Mercedez-Benz", "A-Class", "make", "Mercedes-Benz"), ("Zzyzx", "One", "make", ""),
        ("Ford", "Fokus", "model", "Focus"), ("VW", "Gollf", "model", "Golf"), ("Ford", "Zzyzx", "model", ""),
    ],
)  # fmt: skip
def test_an_unknown_name_waits_with_the_nearest_known_ones(deliver, make, model, field, near):
    run = deliver(GOOD, f"2,{make},{model},2015,8000,60002,petrol,available")
    assert account(run) == (1, 0, 0, 0, 1)
    assert not Make.objects.filter(name=make).exists() or field == "model"
    assert not CarModel.objects.filter(name=model).exists()
    reason = run.problems.get(is_fatal=True).reason
    assert reason.startswith(f"the {field} is not known")
    assert reason.endswith(f"nearest: {near}" if near else "waits")
    assert kind_of(run, field).n_rows == 1


def test_a_fresh_site_takes_every_make_and_model_of_the_table_unasked(deliver):
    run = deliver(
        GOOD,
        "2,Škoda,Octavia,2015,8000,60002,petrol,",
        "3,大众,高尔夫,2016,9000,60003,petrol,",
        "4,Spyker,C8,2009,90000,9003,,",
    )
    assert account(run) == (4, 0, 0, 0, 0)


def test_a_name_that_the_catalogue_has_is_known_whoever_added_it(deliver):
    CarModel.objects.create(make=MakeFactory(name="Ford", slug="ford"), name="Fokus", slug="fokus")
    MakeFactory(name="Zzyzx", slug="zzyzx")
    assert account(deliver("1,Ford,Fokus,2015,8000,60001,,", "2,Zzyzx,One,2015,8000,60002,,")) == (2, 0, 0, 0, 0)


def test_unknown_names_are_made_where_the_options_say_so(deliver, tmp_path):
    assert account(deliver("2,Vauxhal,Corsa,2015,8000,60002,,", new_makes=True)) == (1, 0, 0, 0, 0)
    call_command("import_listings", str(tmp_path / "cars.csv"), source="b", new_makes=True, quiet=True)
    assert Listing.objects.filter(make__slug="vauxhal").count() == 2


def test_a_listing_whose_row_waits_was_seen_all_the_same(deliver):
    deliver(GOOD)
    run = deliver("1,Frod,Focus,2015,8000,60001,petrol,", "2,Ford,Focus,2015,8000,60002,petrol,", complete="source")
    assert (run.rows_refused, run.listings_missing, Listing.objects.get(external_id="1").status) == (1, 0, "live")


# --- Teaching --------------------------------------------------------------------------------------------------------
TAUGHT = [
    ("make", "2,Vauxhal,Corsa,2015,8000,60002,petrol,", "Vauxhall", "make__name", "Vauxhall"),
    ("make", "2,Zzyzx,One,2015,8000,60002,petrol,", "Zzyzx", "make__name", "Zzyzx"),
    ("model", "2,Ford,Fokus Titanium,2015,8000,60002,petrol,", "Focus", "car_model__name", "Focus"),
    ("model", "2,Ford,Zzyzx,2015,8000,60002,petrol,", "Zzyzx", "car_model__name", "Zzyzx"),
    ("fuel", "2,Ford,Focus,2015,8000,60002,kerosene,", "other", "fuel", "other"),
    ("fuel", "2,Ford,Focus,2015,8000,60002,kerosene,", "", "fuel", ""),
    ("status", "2,Ford,Focus,2015,8000,60002,petrol,zur Abholung", "reserved", "status", "reserved"),
    ("status", "2,Ford,Focus,2015,8000,60002,petrol,zur Abholung", "", "status", "live"),
]


@pytest.mark.parametrize(("field", "row", "means", "column", "value"), TAUGHT)
def test_what_is_taught_mends_the_rows_and_is_known_to_the_feeds_next_file(feed, field, row, means, column, value):
    feed.etag = "known"
    feed.save()
    run = ran(feed, GOOD, row)
    kind = kind_of(run, field)
    [(text, n_rows)] = values_of(run, kind)
    teach_value(run=run, field=field, value=text, means=means)
    assert (n_rows, mended(run, rows_of(run, kind, [text]))) == (1, (1, 0))
    assert Listing.objects.values_list(column, flat=True).get(external_id="2") == value
    assert not run.bad_rows.exists()
    assert not kinds_of(run)
    assert account(run) == (2, 0, 0, 0, 0)
    again = ran(feed, GOOD, row.replace("2,", "3,", 1))
    assert Listing.objects.values_list(column, flat=True).get(external_id="3") == value
    assert again.rows_refused == 0
    assert not again.bad_rows.exists()
    assert feed.etag == ""


def test_a_heading_that_is_taught_is_read_in_the_bad_rows_and_in_the_next_file(feed):
    header = "id,make,model,year,Zahl,mileage"
    run = ran(feed, "1,Ford,Focus,2015,8000,60001", "2,Ford,Focus,2016,9000,60002", header=header)
    assert set(Listing.objects.values_list("status", "price")) == {("draft", None)}
    teach_heading(run=run, heading="Zahl", target="price")
    assert mended(run) == (2, 0)
    assert sorted(Listing.objects.values_list("status", "price")) == [("live", 8000), ("live", 9000)]
    feed.refresh_from_db()
    assert options_of_feed(feed).columns == {"Zahl": "price"}
    with pytest.raises(ImportRefused):
        teach_heading(run=run, heading="Zahll", target="price")


def test_a_word_can_only_mean_what_its_field_can_be(deliver):
    run = deliver(GOOD)
    for field, word, value in [("fuel", "x", "steam"), ("price", "x", "1"), ("fuel", "--", "petrol")]:
        with pytest.raises(ImportRefused):
            teach_word(run=run, field=field, word=word, value=value)


def test_without_a_feed_the_run_alone_learns_and_the_only_feed_of_its_source_does(deliver):
    run = deliver("2,Vauxhal,Corsa,2015,8000,60002,,")
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    assert run.options["given"]["words"] == {"make": {"vauxhal": "Vauxhall"}}
    feed = Feed.objects.create(name="Shop", source="shop")
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    feed.refresh_from_db()
    assert feed.options["words"] == {"make": {"vauxhal": "Vauxhall"}}


def test_a_dry_run_is_read_again_and_stores_nothing(deliver):
    run = deliver(GOOD, "2,Vauxhal,Corsa,2015,8000,60002,,", is_dry_run=True)
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    assert mended(run) == (1, 0)
    assert account(run) == (2, 0, 0, 0, 0)
    assert not Listing.objects.exists()
    assert not Make.objects.exists()


# --- Editing ---------------------------------------------------------------------------------------------------------
def test_a_row_that_is_edited_is_stored_and_one_that_is_still_bad_stays(deliver):
    run = deliver(GOOD, "2,Ford,,2015,abc,60002,petrol,", ",,,,,,,", "4,Ford,Focus,2060,8000,60004,petrol,")
    assert account(run) == (3, 0, 0, 0, 1)
    row = run.bad_rows.get(row_number=2)
    edit_row(bad=row, values={2: "Focus", 4: "7500", 0: "2"})
    assert row.edits == {"2": "Focus", "4": "7500"}
    assert edited_cells(row)[4] == "7500"
    assert mended(run) == (1, 1)
    car = Listing.objects.get(external_id="2")
    assert (car.price, car.status, str(car.car_model)) == (7500, "live", "Ford Focus")
    assert list(run.bad_rows.values_list("row_number", "is_fatal", "mend")) == [(4, False, None)]
    assert account(run) == (3, 0, 0, 0, 1)


@pytest.mark.parametrize("taught", [True, False])
def test_a_row_without_an_id_stays_one_listing_and_is_found_by_the_same_file_again(deliver, taught):
    header, row = HEADER.partition(",")[2], "Ford,Focus,2015,8000,60002,kerosene,"
    run = deliver(row, header=header)
    if taught:
        teach_value(run=run, field="fuel", value="kerosene", means="other")
    else:
        edit_row(bad=run.bad_rows.get(), values={5: "petrol"})
    assert mended(run) == (1, 0)
    assert Listing.objects.values_list("fuel", flat=True).get() == ("other" if taught else "petrol")
    words = {"words": {"fuel": {"kerosene": "other"}}} if taught else {}
    again = deliver(row, header=header, **words)
    assert account(again) == (0, 0, 1, 0, 0)


def test_a_car_that_a_later_file_has_is_left_as_that_says(deliver):
    run = deliver("2,Vauxhal,Corsa,2015,8000,60002,,")
    deliver("2,Vauxhall,Corsa,2015,7000,60002,,")
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    mended(run)
    assert (Listing.objects.get().price, account(run), PriceChange.objects.count()) == (7000, (0, 0, 1, 0, 0), 0)


BAD = "2,Ford,Focus,2015,8000,60002,kerosene,"
COMPLETE = {"complete": "source"}


def taught(run):
    teach_value(run=run, field="fuel", value="kerosene", means="other")


@pytest.mark.parametrize(
    ("later", "is_refused"),
    [(COMPLETE, True), ({"complete": "sellers"}, True), ({}, False), (COMPLETE | {"is_dry_run": True}, False)],
)
def test_rows_are_not_read_again_once_a_later_file_says_all(deliver, later, is_refused):
    run = deliver(GOOD, BAD, "3,Vauxhal,Corsa,2015,8000,60003,,")
    deliver(GOOD, **later)
    taught(run)
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    if is_refused:
        before = list(Listing.objects.order_by("pk").values_list("external_id", "status"))
        with pytest.raises(MendRefused, match="later complete file"):
            queue_mend(run=run, rows=run.bad_rows.all())
        assert list(Listing.objects.order_by("pk").values_list("external_id", "status")) == before
    else:
        assert mended(run) == (2, 0)
        assert set(Listing.objects.values_list("status", flat=True)) == {"live"}


def test_a_complete_file_that_is_read_while_rows_are_queued_is_heeded(deliver):
    run = deliver(GOOD, BAD)
    taught(run)
    mend = queue_mend(run=run, rows=run.bad_rows.all())
    deliver(GOOD, **COMPLETE)
    run_mend(mend_id=mend.pk)
    mend.refresh_from_db()
    assert (mend.status, Listing.objects.get(external_id="2").status) == ("failed", "withdrawn")
    assert "later complete file" in mend.error


def test_a_complete_file_that_was_undone_or_that_is_of_another_seller_is_no_hindrance(deliver):
    one, other = SellerFactory(), SellerFactory()
    run = deliver(GOOD, BAD, seller=one.pk)
    deliver("9,Ford,Focus,2015,8000,60009,,", seller=other.pk, complete="sellers")
    of_same = deliver(GOOD, seller=one.pk, complete="sellers")
    taught(run)
    with pytest.raises(MendRefused):
        queue_mend(run=run, rows=run.bad_rows.all())
    undone(of_same)
    assert mended(run) == (1, 0)
    assert Listing.objects.values_list("status", "fuel").get(external_id="2") == ("live", "other")


def edit(listing):
    listing.mileage_km = 7
    listing.save()


SINCE = {
    "sold": lambda car: mark_sold(listing=car),
    "withdrawn": lambda car: withdraw_listing(listing=car),
    "price": lambda car: change_price(listing=car, price=5000),
    "edited": edit,
}


@pytest.mark.parametrize("has_id", [True, False])
@pytest.mark.parametrize("way", SINCE)
def test_what_was_decided_since_stays_when_the_row_is_read_again(deliver, way, has_id):
    header, row = HEADER, BAD + "available"
    if not has_id:
        header, row = HEADER.partition(",")[2], row.partition(",")[2]
    run = deliver(row, header=header)
    SINCE[way](Listing.objects.get())
    before = Listing.objects.values().get()
    n_changes = PriceChange.objects.count()
    taught(run)
    assert mended(run) == (1, 0)
    after = Listing.objects.values().get()
    known_by = dict.fromkeys(("fingerprint", "car_key"))
    assert after | known_by == before | known_by
    assert PriceChange.objects.count() == n_changes
    deliver(row, header=header, words={"fuel": {"kerosene": "other"}})
    assert Listing.objects.get().pk == after["id"]  # it is known by what the next file says of it


@pytest.mark.parametrize("has_id", [True, False])
def test_a_car_that_a_later_part_has_is_left_as_that_says(deliver, has_id):
    header, options = HEADER, {} if has_id else {"key": ("make_slug", "model_slug", "mileage_km")}
    rows = ["2,Vauxhal,Corsa,2015,8000,60002,,", "2,Vauxhall,Corsa,2015,7000,60002,,sold"]
    if not has_id:
        header, rows = header.partition(",")[2], [row.partition(",")[2] for row in rows]
    run = deliver(rows[0], header=header, **options)
    deliver(rows[1], header=header, **options)
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    assert mended(run) == (1, 0)
    assert Listing.objects.values_list("status", "price").get() == ("sold", 7000)


def test_rows_are_mended_although_the_same_file_came_once_more(feed):
    run = ran(feed, GOOD, BAD)
    again = ImportRun.objects.create(feed=feed, source=feed.source, file_name="cars.csv", status="running")
    see_again(again)
    ImportRun.objects.filter(pk=again.pk).update(status="done", finished_at=timezone.now())
    assert set(Listing.objects.values_list("last_seen_at", flat=True)) == {again.seen_at}
    taught(run)
    assert mended(run) == (1, 0)
    assert Listing.objects.get(external_id="2").fuel == "other"


@pytest.mark.parametrize("becomes", ["withdrawn", "sold"])
@pytest.mark.parametrize("is_mended", [True, False])
def test_a_car_that_ended_by_its_absence_comes_back_although_its_row_waited(deliver, becomes, is_mended):
    options = COMPLETE | {"missing": becomes}
    good, waits = (f"2,{make},Focus,2015,8000,60002,petrol," for make in ("Ford", "Frod"))
    deliver(GOOD, good, **options)
    deliver(GOOD, **options)
    run = deliver(GOOD, waits, **options)
    assert Listing.objects.get(external_id="2").status == becomes
    if is_mended:
        teach_value(run=run, field="make", value="Frod", means="Ford")
        assert mended(run) == (1, 0)
    else:
        deliver(GOOD, good, **options)
    assert Listing.objects.values_list("status", "missed_runs").get(external_id="2") == ("live", 0)


def test_of_dealers_who_share_a_number_the_rows_own_car_is_mended(deliver):
    header = HEADER + ",dealer"
    north = "100,Ford,Focus,2015,8000,60001,petrol,,North"
    run = deliver(north, "100,VW,Golf,2018,8000,20001,kerosene,zur Abholung,South", header=header)
    deliver(north, header=header)
    taught(run)
    teach_value(run=run, field="status", value="zur Abholung", means="")
    assert mended(run) == (1, 0)
    cars = Listing.objects.order_by("pk").values_list("seller__name", "status", "fuel")
    assert list(cars) == [("North", "live", "petrol"), ("South", "live", "other")]


def test_rows_of_one_car_become_one(deliver):
    rows = [f"2,Vauxhal,Corsa,2015,{price},60002,," for price in (8000, 8100)]
    run = deliver(*rows)
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    assert mended(run) == (2, 0)
    assert (account(run), Listing.objects.get().price) == ((1, 0, 0, 1, 0), 8000)


@pytest.mark.parametrize(
    ("repeat", "n_known"),
    [
        ("2,Ford,Focus,2015,7000,60002,kerosene,", 0), ("2,Ford,Focus,2015,7000,60002,kerosene,", 1),
        ("2,Frod,Focus,2015,7000,60002,petrol,", 0),
    ],
)  # fmt: skip
def test_a_row_that_repeats_a_car_is_no_news_of_it_once_it_is_mended(deliver, repeat, n_known):
    first = "2,Ford,Focus,2015,8000,60002,petrol,"
    for _ in range(n_known):
        deliver(first)
    run = deliver(first, repeat)
    kind = next(kind for kind in kinds_of(run) if kind.field)
    means = {"fuel": "other", "make": "Ford"}[kind.field]
    teach_value(run=run, field=kind.field, value=values_of(run, kind)[0][0], means=means)
    assert mended(run) == (1, 0)
    assert account(run)[3:] == (1, 0)
    assert Listing.objects.values_list("price", "fuel").get() == (8000, "petrol")


def test_a_mending_whose_worker_died_goes_on_with_what_is_left(deliver, monkeypatch):
    monkeypatch.setattr("catalog.imports.mending.CHUNK_ROWS", 1)
    run = deliver(*(f"{n},Vauxhal,Corsa,2015,8000,{60_000 + n},," for n in range(3)))
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    mend = queue_mend(run=run, rows=run.bad_rows.all())
    from catalog.imports import mending

    reports = iter([None])
    real = mending.Attempt.report
    monkeypatch.setattr(mending.Attempt, "report", lambda *a, **k: (next(reports), real(*a, **k)))
    with pytest.raises(StopIteration):
        run_mend(mend_id=mend.pk)
    monkeypatch.setattr(mending.Attempt, "report", real)
    assert Listing.objects.count() == 1
    ImportMend.objects.filter(pk=mend.pk).update(status="queued")
    run_mend(mend_id=mend.pk)
    mend.refresh_from_db()
    run.refresh_from_db()
    assert (mend.status, mend.n_mended, account(run)) == ("done", 3, (3, 0, 0, 0, 0))


def test_rows_cannot_be_read_again_while_others_are_or_after_undoing(deliver):
    run = deliver(GOOD, "2,Vauxhal,Corsa,2015,8000,60002,,")
    with pytest.raises(MendRefused):
        queue_mend(run=run, rows=BadRow.objects.none())
    mend = queue_mend(run=run, rows=run.bad_rows.all())
    with pytest.raises(MendRefused):
        queue_mend(run=run, rows=run.bad_rows.all())
    run_mend(mend_id=mend.pk)
    queue_undo(run=run)
    with pytest.raises(MendRefused):
        queue_mend(run=ImportRun.objects.get(pk=run.pk), rows=run.bad_rows.all())


# --- Undoing ---------------------------------------------------------------------------------------------------------
def undone(run):
    undo = queue_undo(run=ImportRun.objects.get(pk=run.pk))
    run_undo(undo_id=undo.pk)
    undo.refresh_from_db()
    return undo.n_removed, undo.n_withdrawn, undo.n_restored, undo.n_left


def names():
    return [model.objects.count() for model in (Make, CarModel, Seller)]


def test_undoing_takes_names_and_sellers_away_that_came_along_and_that_nothing_else_uses(deliver):
    header = HEADER + ",dealer"
    rows = [GOOD + ",North", "2,Opel,Corsa,2015,8000,60002,,,South", "3,Seat,Leon,2015,8000,60003,,,East"]
    run = deliver(*rows, header=header)
    assert names() == [3, 3, 3]
    ListingFactory(make=Make.objects.get(slug="opel"), car_model=None, seller=Seller.objects.get(name="East"))
    assert undone(run) == (3, 0, 0, 0)
    assert names() == [1, 0, 1]
    assert Make.objects.get().slug == "opel"
    MakeFactory(name="Ford", slug="ford")
    run = deliver(*rows, header=header)
    undone(run)
    assert sorted(Make.objects.values_list("slug", flat=True)) == ["ford", "opel"]


def test_undoing_takes_back_what_was_mended_as_one_import(deliver):
    deliver(GOOD, "2,Ford,Focus,2015,8000,60002,petrol,")
    rows = ["2,Ford,Focus,2015,7000,60002,kerosene,", "3,Vauxhal,Corsa,2015,8000,60003,,", "4,Ford,Ka,2010,x,9,,"]
    run = deliver(*rows)
    teach_value(run=run, field="make", value="Vauxhal", means="Vauxhall")
    teach_value(run=run, field="fuel", value="kerosene", means="other")
    edit_row(bad=run.bad_rows.get(row_number=3), values={4: "3000"})
    assert mended(run) == (3, 0)
    assert Listing.objects.values_list("price", "fuel").get(external_id="2") == (7000, "other")
    assert undone(run) == (2, 0, 1, 0)
    assert Listing.objects.values_list("price", "fuel").get(external_id="2") == (8000, "petrol")
    assert sorted(Listing.objects.values_list("external_id", flat=True)) == ["1", "2"]
    assert not Make.objects.filter(slug="vauxhall").exists()


# --- The pages -------------------------------------------------------------------------------------------------------
@pytest.fixture
def client():
    client = Client()
    client.force_login(UserFactory(operator=True))
    return client


def test_the_page_of_a_run_leads_from_a_kind_to_its_mending(client, feed):
    run = ran(feed, GOOD, "2,Vauxhal,Corsa,2015,8000,60002,petrol,", "3,Zzyzx,One,2015,8000,60003,petrol,")
    page = client.get(reverse("admin:catalog_importrun_change", args=[run.pk])).content.decode()
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    assert url in page
    assert "the make is not known" in page
    page = client.get(url).content.decode()
    assert "nearest: Vauxhall" in page
    assert 'value="Vauxhall"' in page
    assert "“North”" in page
    kind = re.search(r'name="kind" value="(\w+)"', page)[1]
    given = {"kind": kind, "value-0": "Vauxhal", "means-0": "Vauxhall", "value-1": "Zzyzx", "means-1": ""}
    answer = client.post(url, given)
    mend = ImportMend.objects.get()
    assert answer.url == reverse("admin:catalog_importmend_change", args=[mend.pk])
    assert mend.n_rows == 1
    run_mend(mend_id=mend.pk)
    client.post(url, {"kind": kind, "value-0": "Zzyzx", "means-0": "", "new-0": "on"})
    run_mend(mend_id=ImportMend.objects.latest("pk").pk)
    assert sorted(Listing.objects.values_list("make__name", flat=True)) == ["Ford", "Vauxhall", "Zzyzx"]
    assert "No row is left" in client.get(url).content.decode()


def test_each_bad_row_is_shown_with_its_car_and_each_kind_with_its_values(client, feed):
    run = ran(feed, GOOD, "2,Vauxhall,Corsa,2015,see dealer,60002,petrol,", "3,Vauxhal,Astra,2016,8000,60003,petrol,")
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    page = client.get(url).content.decode()
    assert "“see dealer”" in page
    assert "not stored" in page
    assert "without this value" in page
    for kind in kinds_of(run):
        shown = client.get(url, {"kind": kind.key}).content.decode()
        assert ("2 2015 Vauxhall Corsa" in shown) is (kind.column == "price")
        assert ("3 2016 Astra" in shown) is (kind.column == "make")  # the make stands in the field beside it


def test_the_page_of_a_row_says_at_the_cell_what_is_bad_and_leads_to_the_next_row(client, feed):
    run = ran(feed, GOOD, "2,Ford,Focus,2060,8000,60002,petrol,", "3,Ford,Focus,2016,dear,60003,petrol,")
    first, second = run.bad_rows.order_by("row_number")
    page = client.get(reverse("admin:catalog_importrun_row", args=[run.pk, first.row_number])).content.decode()
    assert re.search(r'<p id="said-3"[^>]*>a year in the future</p>', page)
    assert reverse("admin:catalog_importrun_row", args=[run.pk, second.row_number]) in page
    page = client.get(reverse("admin:catalog_importrun_row", args=[run.pk, second.row_number])).content.decode()
    assert "the next one" not in page


def test_a_mending_leads_back_to_the_rows_that_are_left(client, feed):
    run = ran(feed, GOOD, "2,Ford,Focus,2060,8000,60002,petrol,", "3,Ford,Focus,2016,dear,60003,petrol,")
    mend = queue_mend(run=run, rows=run.bad_rows.filter(row_number=2))
    left = reverse("admin:catalog_importmend_rows_left", args=[mend.pk])
    assert client.get(left).url == reverse("admin:catalog_importrun_rows", args=[run.pk])


def test_a_row_is_edited_on_its_page(client, feed):
    run = ran(feed, GOOD, "2,Ford,Focus,2060,8000,60002,petrol,")
    url = reverse("admin:catalog_importrun_row", args=[run.pk, 2])
    page = client.get(url).content.decode()
    assert "2060" in page
    assert client.get(url + "9/").status_code == 404
    fields = {f"cell-{index}": cell for index, cell in enumerate(run.bad_rows.get().cells)}
    client.post(url, fields | {"cell-3": "2016"})
    run_mend(mend_id=ImportMend.objects.get().pk)
    assert Listing.objects.get(external_id="2").year == 2016
    assert client.get(url).status_code == 404


def test_the_values_of_a_kind_are_edited_side_by_side_and_only_changed_rows_are_read_again(client, feed):
    bad = [f"{number},Ford,Focus,20{number}0,8000,6000{number},petrol," for number in (6, 7, 8)]
    run = ran(feed, GOOD, *bad)
    kind = next(kind for kind in kinds_of(run) if kind.column == "year")
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    page = client.get(url, {"kind": kind.key}).content.decode()
    shown = dict(re.findall(r'name="(cell-\d)" value="(\d+)"', page))
    assert shown == {"cell-2": "2060", "cell-3": "2070", "cell-4": "2080"}
    given = {"kind": kind.key, "edit": "1", **shown}
    assert client.post(url, given).status_code == 302
    assert not ImportMend.objects.exists()  # no value was changed
    client.post(url, {**given, "cell-2": "2016", "cell-4": "2018", "cell-1": "1999"})
    mend = ImportMend.objects.get()
    assert mend.n_rows == 2
    run_mend(mend_id=mend.pk)
    years = dict(Listing.objects.values_list("external_id", "year"))
    assert (years["6"], years["7"], years["8"]) == (2016, None, 2018)
    assert [bad.row_number for bad in run.bad_rows.all()] == [3]


def test_a_cell_of_several_lines_that_comes_back_as_one_is_no_edit(client, feed):
    run = ran(feed, GOOD, *(f'{number},Ford,Focus,"next\nyear",8000,6000{number},petrol,' for number in (2, 3)))
    kind = next(kind for kind in kinds_of(run) if kind.column == "year")
    first, second = (f"cell-{bad.row_number}" for bad in rows_of(run, kind))
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    as_sent = {"kind": kind.key, "edit": "1", first: "nextyear", second: "nextyear"}  # by browsers, if left alone
    client.post(url, {**as_sent, "cell-x": "", "cell-99999999999": "1", "cell-٣": "1"})
    assert not ImportMend.objects.exists()
    client.post(url, {**as_sent, first: "2016"})
    assert ImportMend.objects.get().n_rows == 1
    assert [bad.edits for bad in rows_of(run, kind)] == [{"3": "2016"}, {}]


def test_the_list_of_runs_and_the_page_of_one_lead_to_rows_that_wait(client, feed):
    run, well = ran(feed, GOOD, "2,Ford,Focus,2060,8000,60002,petrol,"), ran(feed, GOOD)
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    page = client.get(reverse("admin:catalog_importrun_changelist")).content.decode()
    assert f'<a href="{url}" class="text-link">1</a>' in page
    assert reverse("admin:catalog_importrun_rows", args=[well.pk]) not in page
    assert "Mend bad rows" in client.get(reverse("admin:catalog_importrun_change", args=[run.pk])).content.decode()
    assert "Mend bad rows" not in client.get(reverse("admin:catalog_importrun_change", args=[well.pk])).content.decode()
    answer = client.get(reverse("admin:catalog_importrun_mend_rows", args=[run.pk]))
    assert answer.url == url


@pytest.mark.parametrize("has_feed", [True, False])
def test_only_who_may_change_feeds_teaches_one(feed, deliver, has_feed):
    row = "2,Vauxhal,Corsa,2015,8000,60002,petrol,"
    run = ran(feed, GOOD, row) if has_feed else deliver(GOOD, row)
    person = UserFactory(is_staff=True)
    names = ("view_importrun", "view_importproblem", "change_importrun", "change_listing")
    person.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(person)
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    page = client.get(url).content.decode()
    assert ("Teach and read" in page) is not has_feed
    given = {"kind": kind_of(run, "make").key, "value-0": "Vauxhal", "means-0": "Vauxhall"}
    assert client.post(url, given).status_code == (403 if has_feed else 302)
    if not has_feed:
        return
    assert client.post(url, {"heading": "id", "target": "price"}).status_code == 403
    feed.refresh_from_db()
    assert "words" not in feed.options
    assert not ImportMend.objects.exists()
    assert client.post(url, {**given, "again": "1"}).status_code == 302  # teaches nothing
    run_mend(mend_id=ImportMend.objects.get().pk)
    person.user_permissions.add(Permission.objects.get(codename="change_feed"))
    assert client.post(url, given).status_code == 302
    entry = AuditEntry.objects.get(model="catalog.feed")
    assert (entry.action, entry.object_id, entry.note) == ("taught", str(feed.pk), "“Vauxhal” is Vauxhall")

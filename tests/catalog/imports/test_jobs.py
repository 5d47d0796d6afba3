"""Imports of uploaded files as jobs: what is kept, how they resume after a crash, are cancelled and undone."""

import gzip
import io
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.files.base import File
from django.utils import timezone

from catalog.exceptions import FileRefused, UndoRefused
from catalog.imports import store, uploads
from catalog.imports import undo as undoing
from catalog.imports.jobs import continue_import, options_of, queue_import, run_import
from catalog.imports.reading import ImportOptions
from catalog.imports.undo import queue_undo, run_undo
from catalog.imports.uploads import as_path, keep_file, sweep_uploads
from catalog.models import (
    ImportedListing,
    ImportRun,
    ImportUndo,
    Listing,
    ListingChange,
    PriceChange,
    UploadedChunk,
    UploadedFile,
)
from catalog.signals import listings_stored
from jobs import work
from jobs.work import cancel, claim
from tasks.catalog import import_file_task
from tests.factories import InteractionFactory

pytestmark = pytest.mark.django_db

HEADER = "id,make,model,year,price,mileage,fuel\n"
CARS = f"""{HEADER}1,Ford,Focus,2015,8000,60000,Petrol
2,VW,Golf,2016,9000,50000,Diesel
3,Kia,Rio,2014,5000,70000,Petrol
"""


def kept(text: str | bytes, name: str = "cars.csv") -> UploadedFile:
    return keep_file(file=File(io.BytesIO(text.encode() if isinstance(text, str) else text), name))


def imported(text: str | bytes, **options) -> ImportRun:
    """A file that was uploaded and imported by the job."""
    run = queue_import(upload=kept(text), options=ImportOptions(**{"source": "shop", "distance_unit": "km"} | options))
    run_import(run_id=run.pk)
    run.refresh_from_db()
    return run


def undone(run: ImportRun):
    undo = queue_undo(run=run)
    run_undo(undo_id=undo.pk)
    undo.refresh_from_db()
    return undo


def counts(run: ImportRun) -> tuple:
    return (
        run.rows_read, run.listings_created, run.listings_updated,
        run.listings_unchanged, run.rows_repeated, run.rows_refused,
    )  # fmt: skip


def rows_of(n: int, first: int = 1) -> str:
    return HEADER + "".join(
        f"{number},Ford,Focus,2015,{8000 + number},60000,Petrol\n" for number in range(first, first + n)
    )


# --- Files -----------------------------------------------------------------------------------------------------------
def test_a_file_comes_back_as_it_was_sent_under_its_own_name(monkeypatch):
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 10)
    content = gzip.compress(CARS.encode())
    upload = kept(content, "Stock list.csv.gz")
    assert UploadedChunk.objects.filter(file=upload).count() == -(-len(content) // 10)
    with as_path(upload) as path:
        assert (path.name, path.read_bytes()) == ("Stock list.csv.gz", content)
    assert not path.exists()


def test_a_name_that_is_a_path_stays_in_its_directory():
    with as_path(kept(CARS, "cars.csv")) as path:
        directory = path.parent
    assert uploads.safe_name("../../etc/cars.csv") == "cars.csv"
    assert uploads.safe_name("C:\\stock\\cars.csv") == "cars.csv"
    assert uploads.safe_name("..") == "upload"
    assert not directory.exists()


def test_a_file_that_is_too_large_is_refused_with_what_to_do_instead(settings):
    settings.IMPORT_MAX_MB = 1
    with pytest.raises(FileRefused, match="at most 1 MB are taken here"):
        kept(b"x" * (1024**2 + 1))
    assert not UploadedFile.objects.exists()


def test_old_files_are_swept_but_not_under_a_waiting_import(settings):
    old, waiting, young = kept(CARS), kept(CARS), kept(CARS)
    queue_import(upload=waiting, options=ImportOptions())
    long_ago = timezone.now() - timedelta(days=settings.IMPORT_FILES_DAYS + 1)
    UploadedFile.objects.filter(pk__in=[old.pk, waiting.pk]).update(uploaded_at=long_ago)
    assert sweep_uploads(now=timezone.now()) == 1
    assert set(UploadedFile.objects.all()) == {waiting, young}


# --- The job ---------------------------------------------------------------------------------------------------------
def test_an_uploaded_file_is_imported_like_any_other():
    run = imported(CARS)
    assert (run.status, run.progress, counts(run)) == ("done", 1, (3, 3, 0, 0, 0, 0))
    assert Listing.objects.get(source="shop", external_id="1").price == 8000


def test_a_dry_run_counts_and_stores_nothing():
    run = imported(CARS, is_dry_run=True)
    assert counts(run) == (3, 3, 0, 0, 0, 0)
    assert not Listing.objects.exists()
    assert not ImportedListing.objects.exists()


def test_what_was_asked_of_a_dry_run_is_what_the_import_does():
    run = imported(CARS, is_dry_run=True, columns={"mileage": "ignore"}, key=("make", "model"), currency="EUR")
    options = options_of(run, is_dry_run=False)
    expected = ImportOptions(
        source="shop", distance_unit="km", columns={"mileage": "ignore"}, key=("make", "model"), currency="EUR"
    )
    assert options == expected


def test_a_file_that_cannot_be_read_ends_as_a_failure_in_words():
    run = imported("no,such\n1,2\n")
    assert run.status == "failed"
    assert "heading" in run.error or "column" in run.error


def test_a_file_that_was_swept_says_so():
    run = queue_import(upload=kept(CARS), options=ImportOptions())
    UploadedFile.objects.all().delete()
    run_import(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "The file is not kept any more; upload it again.")


def test_a_run_is_taken_once():
    run = queue_import(upload=kept(CARS), options=ImportOptions(source="shop"))
    assert claim(ImportRun, run.pk)
    assert run_import(run_id=run.pk) == "running"
    assert not Listing.objects.exists()


@pytest.mark.parametrize("dies_after", [0, 4, 7])
def test_a_run_whose_worker_died_ends_as_if_it_had_not(monkeypatch, dies_after):
    """Killed between two rows: nothing could be written any more, not even that it ended."""
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    table = (
        rows_of(5)
        + "1,Ford,Focus,2015,1,60000,Petrol\n,,,,,,\n8,Kia,Rio,20999,5000,70000,Petrol\n9,Kia,Rio,2014,5100,1,\n"
    )
    whole = imported(table, source="whole")
    run = queue_import(upload=kept(table), options=ImportOptions(source="shop", distance_unit="km"))
    die_after(monkeypatch, run, dies_after)
    run.refresh_from_db()
    assert run.status == "running"
    n_before = Listing.objects.filter(source="shop").count()
    assert n_before < 7

    ImportRun.objects.update(heartbeat_at=timezone.now() - ImportRun.HEARTBEAT_TIMEOUT * 2)
    run_import(run_id=run.pk)

    run.refresh_from_db()
    assert (run.status, counts(run)) == ("done", counts(whole))
    assert run.options["problems"] == whole.options["problems"]
    assert list(run.problems.values_list("row_number", "reason")) == list(
        whole.problems.values_list("row_number", "reason")
    )
    assert ImportedListing.objects.filter(run=run).count() == Listing.objects.filter(source="shop").count() == 7


def die_after(monkeypatch, run: ImportRun, n_rows: int) -> None:
    """Carry a run out up to a row, and stop as ``kill -9`` does: no clean-up writes anything."""

    class Killed(BaseException):
        pass

    def take(self, record):
        if record.number > n_rows:
            raise Killed
        taken(self, record)

    taken = store._Import._take
    with monkeypatch.context() as patched:
        patched.setattr(store._Import, "_take", take)
        patched.setattr(store._Import, "_close", lambda *args: None)
        patched.setattr(work, "end", lambda *args: False)
        with pytest.raises(Killed):
            run_import(run_id=run.pk)


def test_a_worker_that_receives_a_stop_signal_requeues_its_run(monkeypatch):
    run = queue_import(upload=kept(CARS), options=ImportOptions(source="shop"))

    def stop(self, record):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(store._Import, "_take", stop)
        with pytest.raises(SystemExit):
            run_import(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("queued", None)
    run_import(run_id=run.pk)
    assert Listing.objects.count() == 3


def test_a_run_that_is_stopped_from_outside_may_be_carried_on(monkeypatch):
    run = queue_import(upload=kept(CARS), options=ImportOptions(source="shop"))

    def stop(self, record):
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(store._Import, "_take", stop)
        with pytest.raises(SoftTimeLimitExceeded):
            import_file_task(run.pk)
    run.refresh_from_db()
    assert run.status == "interrupted"
    assert "“Resume” brings the rest" in run.error
    assert continue_import(run=run)
    import_file_task(run.pk)
    assert Listing.objects.count() == 3


def test_a_cancelled_run_stops_at_its_next_batch_and_can_be_carried_on(monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    run = queue_import(upload=kept(rows_of(6)), options=ImportOptions(source="shop", distance_unit="km"))

    with pytest.MonkeyPatch.context() as patched:
        stored = store._Import._merge
        patched.setattr(store._Import, "_merge", lambda self, rows: (stored(self, rows), cancel(run)))
        assert run_import(run_id=run.pk) == "cancelled"
    run.refresh_from_db()
    assert (run.status, counts(run)) == ("cancelled", (2, 2, 0, 0, 0, 0))
    assert run.finished_at

    assert continue_import(run=run)
    run_import(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, counts(run)) == ("done", (6, 6, 0, 0, 0, 0))
    assert run.attempt == 2, "a number that began anew would let the cancelled process write"


def test_a_run_that_ended_cannot_be_cancelled_nor_one_that_is_done_carried_on():
    run = imported(CARS)
    assert not cancel(run)
    assert not continue_import(run=run)


# --- Undo ------------------------------------------------------------------------------------------------------------
def test_new_listings_without_activity_are_removed_and_can_be_imported_again():
    run = imported(CARS)
    undo = undone(run)
    assert (undo.status, undo.n_removed, undo.n_left) == ("done", 3, 0)
    assert not Listing.objects.exists()
    assert counts(imported(CARS)) == (3, 3, 0, 0, 0, 0)


def test_changed_listings_are_put_back_to_the_last_field():
    imported(CARS)
    Listing.objects.filter(external_id="1").update(description="A fine car.", tags=["abs"], colour="red")
    before = list(Listing.objects.order_by("pk").values())
    table = (
        "id,make,model,year,price,mileage,fuel,description,features,colour\n"
        "1,VW,Polo,2015,7500,60000,Diesel,New words,tow bar,blue\n"
    )
    run = imported(table)
    assert counts(run) == (1, 0, 1, 0, 0, 0)
    assert Listing.objects.get(external_id="1").description == "New words"
    assert PriceChange.objects.count() == 1

    undo = undone(run)

    assert (undo.n_restored, undo.n_left) == (1, 0)
    assert list(Listing.objects.order_by("pk").values()) == before
    assert not PriceChange.objects.exists()


def test_an_expired_car_that_an_import_brought_back_is_expired_again():
    imported(CARS)
    ended_at = timezone.now() - timedelta(days=3)
    Listing.objects.filter(external_id="1").update(status="expired", ended_at=ended_at)
    run = imported(CARS)
    assert Listing.objects.get(external_id="1").status == "live"
    undone(run)
    listing = Listing.objects.get(external_id="1")
    assert (listing.status, listing.ended_at) == ("expired", ended_at)


def test_what_others_changed_since_is_left_alone_and_reported_row_by_row():
    imported(CARS)
    run = imported(
        CARS.replace("8000", "7000").replace("9000", "9500")
        + "4,Kia,Ceed,2019,11000,5,Petrol\n5,Kia,Ceed,2019,11000,9,Petrol\n6,Kia,Ceed,2019,12000,9,Petrol\n"
    )
    edited = Listing.objects.get(external_id="1")
    edited.colour = "red"
    edited.save()
    InteractionFactory(listing=Listing.objects.get(external_id="4"))
    Listing.objects.get(external_id="5").delete()
    Listing.objects.filter(external_id="6").update(status="sold", ended_at=timezone.now(), updated_at=timezone.now())

    undo = undone(run)

    assert (undo.n_removed, undo.n_withdrawn, undo.n_restored, undo.n_left) == (0, 1, 1, 3)
    assert dict(run.imported.values_list("row_number", "outcome")) == {
        1: undoing.CHANGED_SINCE, 2: undoing.RESTORED_AGAIN, 4: undoing.WITHDRAWN, 5: undoing.GONE, 6: undoing.TAKEN,
    }  # fmt: skip
    assert dict(Listing.objects.values_list("external_id", "status")) == {
        "1": "live", "2": "live", "3": "live", "4": "withdrawn", "6": "sold",
    }  # fmt: skip
    assert Listing.objects.get(external_id="1").price == 7000


def but_for_last_seen():
    """Listings, but for the last time that a file had them: undoing a file does not undo that it came."""
    rows = Listing.objects.order_by("pk").values()
    return [{name: value for name, value in row.items() if name != "last_seen_at"} for row in rows]


def test_rolling_back_two_imports_the_last_first_leads_back_to_the_beginning():
    imported(CARS)
    before = but_for_last_seen()
    second, third = imported(CARS.replace("8000", "7000")), imported(CARS.replace("8000", "6000"))
    assert undone(third).n_restored == 1
    assert undone(second).n_restored == 1
    assert but_for_last_seen() == before


def test_the_recommender_hears_of_listings_that_were_put_back(django_capture_on_commit_callbacks):
    imported(CARS)
    run = imported(CARS.replace("8000", "7000"))
    heard = []
    listings_stored.connect(receiver := lambda sender, listing_ids, **kwargs: heard.extend(listing_ids))
    try:
        with django_capture_on_commit_callbacks(execute=True):
            undone(run)
    finally:
        listings_stored.disconnect(receiver)
    listing = Listing.objects.get(external_id="1")
    assert heard == [listing.pk]
    assert ListingChange.objects.filter(listing_id=listing.pk).count() == 3  # created, changed, put back


def test_undo_goes_on_where_a_worker_died(monkeypatch):
    monkeypatch.setattr(undoing, "CHUNK_ROWS", 1)
    run = imported(CARS)
    undo = queue_undo(run=run)
    undoing.roll_back_rows(run, 1, 1)
    undo.status, undo.heartbeat_at = "running", timezone.now() - ImportUndo.HEARTBEAT_TIMEOUT * 2
    undo.save()
    run_undo(undo_id=undo.pk)
    undo.refresh_from_db()
    assert (undo.status, undo.n_removed) == ("done", 3)


def test_an_undo_that_failed_can_be_tried_again(monkeypatch):
    run = imported(CARS)
    undo = queue_undo(run=run)
    with monkeypatch.context() as patched:
        patched.setattr(undoing, "roll_back_rows", lambda *rows: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_undo(undo_id=undo.pk)
    undo.refresh_from_db()
    assert (undo.status, undo.error) == ("failed", "division by zero")
    again = queue_undo(run=ImportRun.objects.get(pk=run.pk))
    assert again == undo
    run_undo(undo_id=again.pk)
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda run: ImportRun.objects.filter(pk=run.pk).update(is_dry_run=True), "stored nothing"),
        (lambda run: ImportRun.objects.filter(pk=run.pk).update(status="running"), "cancel it first"),
        (lambda run: queue_undo(run=run), "undone already"),
        (lambda run: ImportRun.objects.filter(pk=run.pk).update(listings_created=0), "changed nothing"),
        (lambda run: ImportedListing.objects.all().delete(), "that time is over"),
    ],
)
def test_an_undo_that_makes_no_sense_is_refused_with_the_reason(prepare, reason):
    run = imported(CARS)
    prepare(run)
    with pytest.raises(UndoRefused, match=reason):
        queue_undo(run=ImportRun.objects.get(pk=run.pk))


def test_what_is_needed_to_undo_is_swept_after_its_days(settings):
    old, young = imported(CARS), imported(CARS, source="other")
    long_ago = timezone.now() - timedelta(days=settings.IMPORT_UNDO_DAYS + 1)
    ImportRun.objects.filter(pk=old.pk).update(finished_at=long_ago)
    assert undoing.sweep_import_records(now=timezone.now()) == 3
    assert not old.imported.exists()
    assert young.imported.count() == 3


def test_a_run_of_the_command_can_be_undone_too(tmp_path):
    path = tmp_path / "cars.csv"
    path.write_text(CARS)
    run = store.import_listings(path=path, options=ImportOptions(source="shop"))
    assert undone(run).n_removed == 3

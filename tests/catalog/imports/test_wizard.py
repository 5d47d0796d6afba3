"""The steps of an import in the admin: upload, columns, dry run, import, and the buttons of a run's page."""

from urllib.parse import urlencode

import pytest
from django.core.files import uploadhandler
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from catalog.imports.jobs import run_import
from catalog.imports.undo import run_undo
from catalog.models import ImportProblem, ImportRun, ImportUndo, Listing, UploadedFile
from tests.factories import ListingFactory, UserFactory

pytestmark = pytest.mark.django_db

CARS = """stock no;Fabrikat;Reihe;year;price;mileage;Anstrich
1;Ford;Focus;2015;£8,000;60000;red
2;VW;Golf;2060;£9,000;1;blue
"""
UPLOAD = "/admin/catalog/importrun/add/"


def upload(client: Client, content: str | bytes = CARS, name: str = "cars.csv"):
    return client.post(
        UPLOAD, {"file": SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)}
    )


def prepared(client: Client, **answers: str):
    """Step 2 of a file that was just uploaded."""
    url = upload(client).headers["Location"]
    return client.get(f"{url}?{urlencode(answers)}" if answers else url)


def queued(client: Client, **answers: str) -> ImportRun:
    url = upload(client).headers["Location"]
    client.post(url, {"do": "dry-run", "column-2": "model", **answers})
    return ImportRun.objects.latest("pk")


def press(client: Client, run: ImportRun, button: str):
    return client.post(reverse(f"admin:catalog_importrun_{button}", args=[run.pk]), {"_form_submitted": "on"})


def buttons(client: Client, run: ImportRun) -> set[str]:
    page = client.get(reverse("admin:catalog_importrun_change", args=[run.pk]))
    return {button["title"] for button in page.context["actions_detail"]}


# --- Upload ----------------------------------------------------------------------------------------------------------
def test_an_uploaded_file_is_kept_and_its_columns_shown(operator: Client):
    response = upload(operator)
    kept = UploadedFile.objects.get()
    assert response.headers["Location"] == reverse("admin:catalog_importrun_prepare", args=[kept.pk])
    assert kept.name == "cars.csv"
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04 not a zip", "damaged zip archive"),
        (b"\xd0\xcf\x11\xe0 workbook", "an office document"),
        (b"PAR1 rows", "a Parquet file"),
    ],
)
def test_what_is_no_table_is_refused_in_words_and_not_kept(operator: Client, content: bytes, says: str):
    response = upload(operator, content, "cars.bin")
    assert says in response.context["form"].errors["file"][0]
    assert not UploadedFile.objects.exists()


def test_a_file_that_is_too_large_is_refused_with_the_limit(operator: Client, settings):
    settings.IMPORT_MAX_MB = 1
    response = upload(operator, b"make,model\n" * 200_000)
    assert "at most 1 MB are taken here" in response.context["form"].errors["file"][0]
    assert not UploadedFile.objects.exists()


# --- Columns ---------------------------------------------------------------------------------------------------------
def test_each_column_shows_what_it_is_read_as_with_the_guess_preselected(operator: Client):
    page = prepared(operator)
    columns = [line["column"] for line in page.context["columns"]]
    assert {column.heading: column.target for column in columns} == {
        "stock no": "external_id", "Fabrikat": "make", "Reihe": "", "year": "year", "price": "price",
        "mileage": "mileage", "Anstrich": "",
    }  # fmt: skip
    assert columns[4].examples == ["£8,000", "£9,000"]
    assert page.context["preview"].written == {"encoding": "utf-8", "delimiter": "semicolon"}
    assert '<option value="external_id" selected>' in page.text
    assert "not recognised" in page.text


def test_the_first_rows_show_in_our_terms_with_their_problems(operator: Client):
    preview = prepared(operator, **{"column-2": "model", "column-6": "colour"}).context["preview"]
    rows = [dict(zip(preview.fields, row.cells, strict=True)) for row in preview.rows]
    assert rows[0] == {
        "external id": "1", "make": "Ford", "model": "Focus", "year": "2015",
        "price": "£8,000", "mileage": "60,000\u00a0miles", "colour": "red",
    }  # fmt: skip
    assert rows[1]["year"] == ""
    assert preview.rows[1].notes == ["year: a year in the future"]


def test_a_column_that_is_not_to_be_read_is_left_out(operator: Client):
    preview = prepared(operator, **{"column-4": ""}).context["preview"]
    assert "price" not in preview.fields
    assert "price" in preview.unread


def test_a_file_whose_headings_say_nothing_is_mapped_by_hand(operator: Client):
    url = upload(operator, "aaa,bbb,ccc\nFord,Focus,8000\nKia,Rio,5000\n").headers["Location"]
    page = operator.get(url)
    assert page.context["problem"]
    assert [line["column"].heading for line in page.context["columns"]] == ["aaa", "bbb", "ccc"]
    mended = operator.get(url, {"column-0": "make", "column-1": "model", "column-2": "price"})
    assert mended.context["problem"] == ""
    assert mended.context["preview"].rows[0].cells[:2] == ["Ford", "Focus"]


@pytest.mark.parametrize(
    ("answers", "says"),
    [({"key": "colr"}, "not a field of a listing"), ({"encoding": "klingon"}, "klingon"), ({"mapping": "xx"}, "xx")],
)
def test_an_answer_that_makes_no_sense_is_reported_on_the_page(operator: Client, answers: dict, says: str):
    page = prepared(operator, **answers)
    assert page.status_code == 200
    assert says in page.context["problem"]


def test_a_file_that_was_swept_leads_back_to_the_upload(operator: Client):
    response = operator.get(reverse("admin:catalog_importrun_prepare", args=[99]), follow=True)
    assert "upload it again" in str(next(iter(response.context["messages"])))
    assert response.redirect_chain[-1][0] == UPLOAD


# --- Dry run, import, undo -------------------------------------------------------------------------------------------
def test_a_dry_run_then_the_import_then_its_undo(operator: Client):
    dry_run = queued(operator, **{"column-6": "colour", "source": "shop"})
    assert (dry_run.status, dry_run.is_dry_run, dry_run.source) == ("queued", True, "shop")
    assert dry_run.options["given"]["columns"] == {"Reihe": "model", "Anstrich": "colour"}
    run_import(run_id=dry_run.pk)
    assert buttons(operator, dry_run) >= {"Import now", "Change the mapping"}
    assert not Listing.objects.exists()

    where = press(operator, dry_run, "import_now").headers["HX-Redirect"]
    run = ImportRun.objects.exclude(pk=dry_run.pk).get()
    assert where == reverse("admin:catalog_importrun_change", args=[run.pk])
    run_import(run_id=run.pk)
    assert Listing.objects.get(source="shop", external_id="1").colour == "red"
    page = operator.get(where)
    assert f"imported={run.pk}-new" in page.text
    listed = operator.get(reverse("admin:catalog_listing_changelist"), {"imported": f"{run.pk}-new"})
    assert listed.context["cl"].result_count == 2

    press(operator, run, "undo")
    run_undo(undo_id=ImportUndo.objects.get().pk)
    assert not Listing.objects.exists()
    assert "Undo" not in buttons(operator, run)
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["import", "undo"]


def test_the_mapping_of_a_run_can_be_changed_and_tried_again(operator: Client):
    dry_run = queued(operator, **{"column-6": "colour", "key": "make,model"})
    run_import(run_id=dry_run.pk)
    page = operator.get(reverse("admin:catalog_importrun_change_mapping", args=[dry_run.pk]), follow=True)
    assert {line["column"].heading: line["column"].target for line in page.context["columns"]}["Anstrich"] == "colour"
    assert page.context["form"]["key"].value() == "make,model"


def test_an_import_without_a_dry_run_is_queued_and_audited(operator: Client):
    url = upload(operator).headers["Location"]
    operator.post(url, {"do": "import", "column-2": "model"})
    assert not ImportRun.objects.get().is_dry_run
    assert AuditEntry.objects.get().action == "import"


def test_a_waiting_import_can_be_cancelled_and_carried_on(operator: Client):
    run = queued(operator)
    assert "Cancel" in buttons(operator, run)
    press(operator, run, "cancel")
    assert run_import(run_id=run.pk) == "cancelled"
    assert "Resume" in buttons(operator, run)
    press(operator, run, "go_on")
    run.refresh_from_db()
    assert run.status == "queued"
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["cancelled", "retry"]


def test_an_undo_that_came_too_late_says_why(operator: Client):
    run = ImportRun.objects.create(file_name="cars.csv", status="done", listings_created=3)
    press(operator, run, "undo")
    page = operator.get(reverse("admin:catalog_importrun_change", args=[run.pk]))
    assert "Nothing was undone: What it did is kept for 7 days" in str(next(iter(page.context["messages"])))


def test_the_problems_of_a_run_can_be_taken_away_without_a_formula_in_them(operator: Client):
    run = ImportRun.objects.create(file_name="cars.csv", status="done")
    ImportProblem.objects.create(
        run=run, row_number=2, column="price", value="=1+1", reason="no number", is_fatal=False
    )
    response = operator.get(reverse("admin:catalog_importrun_problems", args=[run.pk]))
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert lines == ["row,column,value,reason,effect", "2,price,'=1+1,no number,value dropped"]


# --- Who may ---------------------------------------------------------------------------------------------------------
def test_a_viewer_sees_runs_and_starts_nothing(viewer: Client):
    run = ImportRun.objects.create(
        file_name="cars.csv", status="running", upload=UploadedFile.objects.create(name="a", n_bytes=1)
    )
    assert viewer.get(reverse("admin:catalog_importrun_change", args=[run.pk])).status_code == 200
    assert buttons(viewer, run) <= {"History"}
    assert upload(viewer).status_code == 403
    assert viewer.get(reverse("admin:catalog_importrun_prepare", args=[run.upload_id])).status_code == 403
    for button in ("import_now", "cancel", "go_on", "queue_again", "undo"):
        assert press(viewer, run, button).status_code == 403
    run.refresh_from_db()
    assert run.status == "running"


def test_problems_are_not_downloaded_without_the_permission_to_see_them(client: Client):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(reverse("admin:catalog_importrun_problems", args=[1])).status_code == 403


# --- Budgets ---------------------------------------------------------------------------------------------------------
def test_the_pages_take_few_queries(operator: Client, django_assert_max_num_queries):
    ListingFactory.create_batch(3)
    run = queued(operator)
    run_import(run_id=run.pk)
    for url in (
        UPLOAD,
        reverse("admin:catalog_importrun_prepare", args=[run.upload_id]),
        reverse("admin:catalog_importrun_change", args=[run.pk]),
    ):
        with django_assert_max_num_queries(22):
            assert operator.get(url).status_code == 200


def test_a_file_that_is_too_large_is_thrown_away_as_it_arrives(operator: Client, settings):
    """Long before the form: neither memory nor disk ever held more than the limit."""
    settings.IMPORT_MAX_MB = 1
    kept: list[int] = []

    class Counting(TemporaryFileUploadHandler):
        def receive_data_chunk(self, raw_data, start):
            kept.append(len(raw_data))
            return super().receive_data_chunk(raw_data, start)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(uploadhandler, "TemporaryFileUploadHandler", Counting)
        response = upload(operator, b"make,model\n" * 800_000)
    assert "too large: at most 1 MB" in response.context["form"].errors["file"][0]
    assert sum(kept) <= 1024**2

"""What the quality report counts, where its numbers lead, and who may see and make it."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog import quality
from catalog.models import ImportRun, Listing, QualityReport
from catalog.quality import CHECKS, latest_report, lines_of, queue_report, run_report, warnings
from tests.factories import ListingFactory, UserFactory, user_of_role

pytestmark = pytest.mark.django_db

PAGE = "/admin/catalog/qualityreport/overview/"
LISTINGS = "/admin/catalog/listing/"


def fine(**fields) -> Listing:
    """A car that no check has anything to say about."""
    given = {
        "published_at": timezone.now(), "photo_url": "https://example.com/1.jpg", "place": "Leeds", "colour": "red",
    }  # fmt: skip
    return ListingFactory(**given | fields)


def measured() -> dict[str, int]:
    report = queue_report()
    assert report is not None
    run_report(report_id=report.pk)
    return {line.check.key: line.n for line in lines_of(latest_report()) if line.n}


def login(client: Client, role: str) -> Client:
    client.force_login(user_of_role(role))
    return client


def test_a_stock_without_a_flaw_has_nothing_to_report():
    fine()
    assert measured() == {}
    assert latest_report().n_live == 1
    assert warnings() == []


LONG_AGO = timezone.now() - timedelta(days=80)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"make": None, "car_model": None}, {"no_make", "no_model"}),
        ({"car_model": None}, {"no_make", "no_model"}),
        ({"price": None}, {"no_price"}),
        ({"year": None}, {"no_year"}),
        ({"mileage_km": None}, {"no_mileage"}),
        ({"fuel": "", "gearbox": "", "body": ""}, {"no_fuel", "no_gearbox", "no_body"}),
        ({"power_kw": None}, {"no_power"}),
        ({"photo_url": ""}, {"no_photo"}),
        ({"place": ""}, {"no_place"}),
        ({"seller": None}, {"no_seller"}),
        ({"year": 1900}, {"odd_year"}),
        ({"mileage_km": 700_000}, {"odd_mileage"}),
        ({"mileage_km": 10}, {"hardly_driven"}),
        ({"power_kw": 2_000}, {"odd_power"}),
        ({"currency": "USD"}, {"other_currency", "no_exchange_rate"}),
        ({"status": "sold", "ended_at": timezone.now(), "price": None}, set()),
    ],
)
def test_each_flaw_is_counted_where_it_belongs(fields: dict, found: set):
    fine(**fields)
    assert set(measured()) == found


def test_a_car_that_was_not_updated_for_long_is_stale():
    old, touched = fine(published_at=LONG_AGO), fine(published_at=LONG_AGO, mileage_km=1_234)
    Listing.objects.filter(pk=old.pk).update(updated_at=LONG_AGO)
    assert measured() == {"stale": 1}
    assert touched


def test_a_price_far_from_others_of_its_model_and_year_is_odd():
    for number in range(8):
        fine(price=10_000 + number, mileage_km=50_001 + number)
    expensive, cheap = fine(price=31_000), fine(price=3_000)
    fine(price=29_000, mileage_km=40_000)
    fine(price=90_000, year=2018, mileage_km=30_000)  # of a kind too rare to tell
    assert measured() == {"odd_price": 2}
    assert latest_report().figures["odd_price"]["ids"] == [expensive.pk, cheap.pk]


def test_a_duplicate_car_is_recognised_by_its_advertisement_or_its_facts():
    fine(external_id=None, fingerprint="f" * 32, source="a", price=1_000)
    fine(external_id=None, fingerprint="f" * 32, source="b", price=2_000)
    for _ in range(2):
        fine(mileage_km=61_234)
    fine(mileage_km=61_234, colour="blue")
    for _ in range(2):
        fine(mileage_km=60_000, price=7_000)  # a round number, as many have
    assert measured() == {"same_fingerprint": 2, "same_facts": 2}


@pytest.mark.parametrize("ids_kept", [0, 1_000])
def test_every_number_leads_to_its_listings(client: Client, monkeypatch, ids_kept: int):
    """By the ids of the report where they are few, by the condition where they are many."""
    monkeypatch.setattr(quality, "IDS_KEPT", ids_kept)
    login(client, "Viewer")
    fine()
    flawed = fine(fuel="", year=1900)
    measured()
    for key in ("no_fuel", "odd_year"):
        assert list(client.get(LISTINGS, {"quality": key}).context["cl"].result_list) == [flawed]
    assert client.get(LISTINGS, {"quality": "no_such_check"}).status_code in (200, 302)


def test_the_dashboard_hears_of_what_is_above_the_usual_and_of_an_old_report():
    fine()
    fine(price=None)
    measured()
    (warning,) = warnings()
    assert (warning.title, warning.figure) == ("No price", "1 (50%)")
    assert warning.url == f"{LISTINGS}?quality=no_price"
    QualityReport.objects.update(created_at=timezone.now() - timedelta(days=5))
    assert warnings()[-1].title == "The quality report is old"


def test_warnings_cost_one_query(django_assert_num_queries):
    fine(price=None)
    measured()
    with django_assert_num_queries(1):
        warnings()


def test_a_second_report_is_not_begun_while_one_is_under_way_but_a_dead_one_is_given_up():
    assert queue_report()
    assert queue_report() is None
    QualityReport.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert queue_report()


def test_a_report_that_fails_says_why(monkeypatch):
    report = queue_report()
    monkeypatch.setattr(quality, "fill_in", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_report(report_id=report.pk)
    report.refresh_from_db()
    assert (report.status, report.error) == ("failed", "division by zero")


def test_old_reports_are_deleted(monkeypatch):
    monkeypatch.setattr(quality, "REPORTS_KEPT", 2)
    for _ in range(4):
        measured()
    assert QualityReport.objects.count() == 2


# --- The page --------------------------------------------------------------------------------------------------------
def test_without_a_report_the_page_says_what_to_do(client: Client):
    assert "Nothing was measured yet" in login(client, "Operator").get(PAGE).text


def test_the_page_shows_every_check_with_its_change_and_the_last_imports(client: Client):
    login(client, "Operator")
    fine()
    measured()
    fine(price=None)
    measured()
    problem = {"column": "price", "reason": "no number", "count": 7}
    ImportRun.objects.create(file_name="cars.csv", status="done", options={"problems": [problem]})
    page = client.get(PAGE)
    lines = {line.check.key: line for _, group in page.context["groups"] for line in group}
    assert set(lines) == {check.key for check in CHECKS}
    assert (lines["no_price"].n, lines["no_price"].before, lines["no_price"].percent) == (1, 0, "50%")
    assert "price: no number (7)" in page.text


def test_the_report_is_made_anew_by_those_who_may(client: Client):
    url = reverse("admin:catalog_quality_measure")
    login(client, "Viewer")
    assert "Measure now" not in client.get(PAGE).text
    assert client.post(url).status_code == 403
    login(client, "Operator")
    assert client.get(url).status_code == 404
    client.post(url)
    assert QualityReport.objects.get().status == "queued"
    assert "job-progress" in client.get(PAGE).text


def test_staff_without_permission_sees_no_report(client: Client):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(PAGE).status_code == 403


def test_the_page_takes_few_queries(client: Client, django_assert_max_num_queries):
    login(client, "Operator")
    for _ in range(3):
        fine(fuel="")
    measured()
    client.get(PAGE)
    with django_assert_max_num_queries(9):
        client.get(PAGE)

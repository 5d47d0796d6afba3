"""The page of dealers and their exposure, its files, and the days of the dashboard."""

import csv
from datetime import UTC, date, datetime

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from recommendations.models import CountedDay, SellerDay
from tests.factories import ListingFactory, PlacementFactory, SellerFactory, UserFactory

pytestmark = pytest.mark.django_db
DAYS = {"since": "2026-03-01", "until": "2026-03-31"}


def page() -> str:
    return reverse("admin:recommendations_dealers")


def file() -> str:
    return reverse("admin:recommendations_dealers_csv")


@pytest.fixture
def counted():
    formula, plain, unseen = (SellerFactory(name=name) for name in ("=1+2", "Plain & Sons", "Unseen"))
    for seller in (formula, plain, unseen):
        ListingFactory(seller=seller)
    for seller, shown in ((formula, 30), (plain, 10)):
        SellerDay.objects.create(
            day=date(2026, 3, 5), placement=PlacementFactory(), seller=seller, shown=shown, clicked=3, contacted=1
        )
    CountedDay.objects.create(day=date(2026, 3, 5), counted_at=datetime(2026, 3, 5, 23, tzinfo=UTC))


def rows_of(answer) -> list[list[str]]:
    return list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))


def test_the_page_shows_sellers_and_placements(viewer, counted):
    text = viewer.get(page(), DAYS).text
    for words in ("3 sellers", "75.00%", "33.33%", "Plain &amp; Sons", "Home page", "1 had cars for sale", "3 (10.0%)"):
        assert words in text
    unseen = viewer.get(page(), {**DAYS, "only": "unseen"}).text
    assert "1 seller without exposure" in unseen
    assert "Plain &amp; Sons" not in unseen


def test_the_file_has_what_the_page_shows_and_no_formula(viewer, counted):
    answer = viewer.get(file(), DAYS)
    assert answer["Content-Disposition"] == 'attachment; filename="dealers-2026-03-01-2026-03-31.csv"'
    headings, *rows = rows_of(answer)
    assert headings[:2] == ["seller", "id"]
    assert [(row[0], row[6], row[7]) for row in rows] == [
        ("'=1+2", "30", "0.75"), ("Plain & Sons", "10", "0.25"), ("Unseen", "0", "0.0"),
    ]  # fmt: skip
    _, *placed = rows_of(viewer.get(file(), {**DAYS, "by": "placement"}))
    assert placed == [["'=1+2", "", "Home page", "30", "3", "1"], ["Plain & Sons", "", "Home page", "10", "3", "1"]]


def test_only_those_who_may_see_sellers_and_lists_see_it(counted):
    stranger = Client()
    stranger.force_login(UserFactory(is_staff=True))
    assert stranger.get(page()).status_code == stranger.get(file()).status_code == 403
    assert Client().get(file()).status_code == 302


@pytest.mark.parametrize(
    "asked",
    [
        {"since": "2026-03-31", "until": "2026-03-01"}, {"since": "yesterday"}, {"since": "0001-01-01"},
        {"until": "9999-12-31"}, {"placement": "x"}, {"placement": "999999999999999999999"}, {"order": "x"},
        {"only": "x"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_marked_and_no_file(viewer, counted, asked):
    answer = viewer.get(page(), {**DAYS, **asked})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert viewer.get(file(), {**DAYS, **asked}).status_code == 400


@pytest.mark.parametrize("number", ["0", "-1", "x", "2", "99999999999"])
def test_a_page_that_there_is_not_is_empty_or_the_first(viewer, counted, number):
    assert viewer.get(page(), {**DAYS, "p": number}).status_code == 200


def test_the_page_takes_few_queries_however_many_sellers(viewer, counted, django_assert_max_num_queries):
    viewer.get(page(), DAYS)
    for n in range(60):
        ListingFactory(seller=SellerFactory(name=f"More {n}"))
    with django_assert_max_num_queries(20):
        text = viewer.get(page(), DAYS).text
    assert "Page 1 of 2" in text
    assert "Page 2 of 2" in viewer.get(page(), {**DAYS, "p": "2"}).text


def test_the_dashboard_is_about_the_days_that_are_chosen(viewer, counted):
    cache.empty()
    text = viewer.get(reverse("admin:index"), DAYS).text
    assert "01 Mar 2026 to 31 Mar 2026" in text
    assert "<td>Home page</td><td>40</td>" in text
    assert (
        "No list of these days"
        in viewer.get(reverse("admin:index"), {"since": "2025-03-01", "until": "2025-03-31"}).text
    )
    wrong = viewer.get(reverse("admin:index"), {"since": "x", "until": "2026-03-01"})
    assert wrong.status_code == 200

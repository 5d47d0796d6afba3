"""A day of an operator, in a real browser: from an empty site to a change that is understood, made and undone."""

import pytest

from accounts.models import AuditEntry
from accounts.roles import OPERATOR, VIEWER
from recommendations.models import RankerVersion, SeedRun, TrainingRun
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
PASSWORD = "password"
JOB_SECONDS = 120_000  # milliseconds; shared machines are slow


def log_in(page, role: str) -> None:
    from django.contrib.auth.models import Group

    person = UserFactory(is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    page.goto("/admin/")
    page.fill("input[name=username]", person.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")


def wait_until_done(page) -> None:
    """A job's page follows its progress by itself; a reload in between changes nothing."""
    page.reload()
    page.locator("#job-progress", has_text="Done").wait_for(timeout=JOB_SECONDS)


def test_an_operators_day(page, worker):
    log_in(page, OPERATOR)

    # An empty site says what to do first.
    page.get_by_text("No cars yet").wait_for()
    page.get_by_role("link", name="Seed a demo market").click()
    for name, number in (("n_listings", 400), ("n_buyers", 60), ("n_events", 3000)):
        page.fill(f"input[name={name}]", str(number))
    page.get_by_role("button", name="Save", exact=True).click()
    wait_until_done(page)
    assert SeedRun.objects.get().status == "done"

    # Stock without a ranker asks for the first training; its page follows it.
    page.goto("/admin/")
    page.get_by_role("link", name="Train the first ranker").click()
    page.get_by_role("button", name="Save", exact=True).click()
    wait_until_done(page)
    assert TrainingRun.objects.get().status == "done"
    assert RankerVersion.objects.live() is not None

    assert AuditEntry.objects.exists()


def test_a_viewer_is_shown_no_button_that_changes_something(page, worker):
    log_in(page, VIEWER)
    page.goto("/admin/recommendations/rankerversion/")
    assert page.get_by_text("Retrain now").count() == 0
    assert page.get_by_text("Roll back").count() == 0

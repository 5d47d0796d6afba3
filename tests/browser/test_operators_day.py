"""A day of an operator, in a real browser: from an empty site to a change that is explained, made and undone."""

import re

import pytest

from accounts.models import AuditEntry
from accounts.roles import OPERATOR, VIEWER
from catalog.models import Listing
from recommendations.models import EventKind, Interaction, RankerVersion, SeedRun, ServedList, TrainingRun
from tests.browser.steps import log_in

pytestmark = pytest.mark.django_db(transaction=True)
JOB_SECONDS = 120_000  # milliseconds; shared machines are slow


CARS = b"""id,make,model,year,price,mileage
w1,Volkswagen,Golf,2019,14500,42000
w2,Skoda,Octavia,2020,16900,38000
w3,Ford,Focus,2017,9200,81000
"""


def press(page, button: str, confirm: str) -> None:
    """A button that asks for confirmation before it starts a job, whose page it leads to."""
    before = page.url
    ends_with = re.compile(rf"{re.escape(button)}\s*$")  # an icon's name stands before it
    page.locator("a, button", has_text=ends_with).filter(visible=True).first.click()
    page.locator("button[type=submit]", has_text=re.compile(rf"{re.escape(confirm)}\s*$")).click()
    page.wait_for_url(lambda url: url != before, timeout=JOB_SECONDS)  # there may be a job on this page already


def wait_until_done(page) -> None:
    """A job's page follows its progress by itself; a reload in between changes nothing."""
    page.locator("#job-progress").wait_for(timeout=JOB_SECONDS)  # the page before has answered by now
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

    # A buyer's lab: the list, why each car is in it, and what one more event would change. Nothing is stored.
    n_events, n_lists = Interaction.objects.count(), ServedList.objects.count()
    page.goto("/admin/accounts/buyer/")
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("link", name="Open the lab").click()
    page.get_by_role("heading", name="The list", exact=True).wait_for()
    assert page.locator("section[aria-label='The list'] tbody td.fc-car").count() == 20
    page.locator("details.fc-more summary").first.click()
    page.locator("details.fc-more a", has_text="contacted").first.click()
    page.get_by_role("heading", name="How the list moves").wait_for()
    assert (Interaction.objects.count(), ServedList.objects.count()) == (n_events, n_lists)

    # Weights are tried on real buyers before they are saved, and the log keeps both sides.
    page.goto("/admin/recommendations/eventkind/")
    page.get_by_role("link", name="Try weights").click()
    weight = page.locator("tr", has_text="view").locator("input").first
    weight.fill("1.5")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="Lists of real buyers").wait_for()
    page.get_by_role("button", name="Save these values").click()
    page.get_by_text("Saved:").wait_for()
    assert EventKind.objects.get(slug="view").weight == 1.5
    entry = AuditEntry.objects.get(model="recommendations.eventkind")
    assert (entry.before, entry.after) == ({"weight": 1.0}, {"weight": 1.5})

    # A file is previewed, tried, imported, and its import undone.
    n_listings = Listing.objects.count()
    page.goto("/admin/catalog/importrun/add/")
    page.set_input_files("input[type=file]", files=[{"name": "cars.csv", "mimeType": "text/csv", "buffer": CARS}])
    page.locator("button[type=submit]", has_text="Upload").click()
    page.get_by_text("The first rows, in our terms").wait_for()
    page.get_by_role("button", name="Dry run").click()
    wait_until_done(page)
    assert Listing.objects.count() == n_listings
    press(page, "Import now", "Import")
    wait_until_done(page)
    assert Listing.objects.count() == n_listings + 3
    press(page, "Undo", "Undo import")
    wait_until_done(page)
    assert Listing.objects.count() == n_listings

    # The day is in the audit log.
    page.goto("/admin/accounts/auditentry/")
    assert page.locator("#result_list tbody tr").count() == AuditEntry.objects.count() >= 5


def test_a_viewer_is_shown_no_button_that_changes_something(page, worker):
    log_in(page, VIEWER)
    page.goto("/admin/recommendations/rankerversion/")
    assert page.get_by_text("Retrain now").count() == 0
    assert page.get_by_text("Roll back").count() == 0

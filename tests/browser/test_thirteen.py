"""What operators do most, as the manual says it: each in at most five clicks, in a real browser.

With ``MANUAL`` (``make manual``) the manual and its pictures are written anew.
"""

import os
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from accounts.models import AuditEntry
from accounts.roles import OPERATOR
from catalog.imports.feeds import queue_feed
from catalog.imports.jobs import run_import
from catalog.imports.uploads import keep_file
from catalog.models import BadRow, Feed, Listing
from catalog.quality import queue_report, run_report
from recommendations.insight.seller_days import count_exposure
from recommendations.models import Experiment, MerchandisingRule, RankerVersion
from recommendations.serving.lists import ListRequest, recommend
from recommendations.training.runs import run_training, start_training
from tests.browser.steps import log_in
from tests.browser.thirteen import CLICKS_AT_MOST, TASKS, Hand, manual_of
from tests.factories import BuyerFactory, ListingFactory, SellerFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db(transaction=True)
DOCS = Path(__file__).resolve().parents[2] / "docs"
WRITES = bool(os.environ.get("MANUAL"))


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO_MODE, settings.SERVED_LIST_THREAD = True, False


BAD_ROWS = b"""id,make,model,year,price,mileage,fuel
b1,Volkswagen,Golf,2019,14500,42000,Petrol
b2,Skoda,Fabia,2061,16900,38000,Diesel
b3,Ford,Focus,2071,9200,81000,Petrol
b4,Ford,Fiesta,2017,7200,61000,Motorspirit
"""


def make_market() -> None:
    """Cars, buyers and a live ranker, and what is wrong: a file's years, a car twice, a dealer that no list shows."""
    trained_market(6)
    one = Listing.objects.available().first()
    assert one
    feed = Feed.objects.create(name="North Cars", source="north")
    run = queue_feed(feed, upload=keep_file(file=ContentFile(BAD_ROWS, name="cars.csv")))
    run_import(run_id=run.pk)
    for _ in range(2):
        ListingFactory(car_model=one.car_model, seller=one.seller, mileage_km=41_237, price=12_345, year=2018)
    buyer = BuyerFactory()
    recommend(ListRequest(buyer=buyer, k=3))
    count_exposure()
    ListingFactory(car_model=one.car_model, seller=SellerFactory(name="Quiet Motors"))
    report = queue_report()
    assert report
    run_report(report_id=report.pk)


def train_one_more() -> None:
    """A version that waits to be promoted."""
    run_training(run_id=start_training(parameters={"prior_buyers": 10}, promote=False).pk)


BEFORE = {"Promote": train_one_more}


def test_the_thirteen_tasks_take_five_clicks_each_and_are_those_of_the_manual(page, worker):
    make_market()
    log_in(page, OPERATOR)
    steps: dict[tuple[str, str], list[str]] = {}
    for task in TASKS:
        for part in task.parts:
            BEFORE.get(part.title, lambda: None)()
            hand = Hand(page)
            hand.begin()
            part.walk(hand)
            assert hand.n_clicks <= CLICKS_AT_MOST, task.title
            steps[task.slug, part.title] = hand.steps
        if WRITES:
            page.wait_for_load_state("networkidle")  # the last click may have led to another page
            page.screenshot(path=DOCS / "images" / "manual" / f"{task.slug}.png", animations="disabled")
    if WRITES:
        (DOCS / "manual.md").write_text(manual_of(steps), encoding="utf-8")
    assert (DOCS / "manual.md").read_text(encoding="utf-8") == manual_of(steps)
    check_what_became_of_it()


def check_what_became_of_it() -> None:
    """As the database has it."""
    assert Listing.objects.filter(status="sold").count() == 1
    assert Listing.objects.filter(status="withdrawn").count() == 1
    bad = Listing.objects.filter(source="north")
    assert [bad.get(external_id=key).year for key in ("b2", "b3")] == [2016, 2016]
    assert bad.get(external_id="b4").fuel == "petrol"
    assert not BadRow.objects.exists()
    hide, pin, boost = (MerchandisingRule.objects.get(action=action) for action in ("hide", "pin", "boost"))
    assert hide.is_active
    assert hide.ends_at
    assert pin.is_active
    assert boost.target == {"fuels": ["electric"]}
    assert not boost.is_active  # it was undone
    assert Experiment.objects.get().status == "running"
    assert AuditEntry.objects.filter(action="erased").exists()
    assert RankerVersion.objects.filter(note__contains="Fewer contacts").exists()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.slug)
def test_the_manual_has_a_picture_of_each_task(task):
    picture = DOCS / "images" / "manual" / f"{task.slug}.png"
    assert 20_000 < picture.stat().st_size < 200_000  # a white page has 5 kB; some 1.5 MB together
    assert f"](images/manual/{task.slug}.png)" in (DOCS / "manual.md").read_text(encoding="utf-8")

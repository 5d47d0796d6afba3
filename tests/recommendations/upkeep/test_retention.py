"""What is older than its days goes, in batches, and nothing that something kept needs."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import AuditEntry, Buyer
from catalog.models import ImportedListing, ImportRun, Listing, PriceChange
from jobs.models import Job
from jobs.work import job_models
from recommendations.models import (
    BotMark,
    DemandDay,
    Evaluation,
    Impression,
    Interaction,
    RankerVersion,
    ServedList,
    ShownAgain,
    TrainingRun,
)
from recommendations.models.merchandising import MerchandisingRule
from recommendations.telemetry import ROWS_REMOVED
from recommendations.upkeep import retention
from recommender_site.operations.doctor import look_at_retention
from recommender_site.operations.findings import Level
from tests.factories import (
    BuyerFactory,
    InteractionFactory,
    ListingFactory,
    PlacementFactory,
    PriceChangeFactory,
    RankerVersionFactory,
    ServedListFactory,
)
from tests.recommender_site.test_settings import documented

pytestmark = pytest.mark.django_db

DAYS = 100
SETTINGS = sorted({kind.setting for kind in retention.kinds()})
NOW = timezone.now()
OLD, YOUNG = NOW - timedelta(days=DAYS, hours=1), NOW - timedelta(days=DAYS - 1)


@pytest.fixture(autouse=True)
def keep(settings):
    """Every kind for so many days."""
    for name in SETTINGS:
        setattr(settings, name, DAYS)


def ended_listing(when: datetime, **fields) -> Listing:
    return ListingFactory(status="sold", published_at=when - timedelta(days=9), ended_at=when, **fields)


def guest(when: datetime) -> Buyer:
    return BuyerFactory(guest=True, created_at=when)


def job(model: type[Job], when: datetime, status: str = "failed", **fields) -> Job:
    if model._meta.model_name == "weighttrial":
        fields["placement"] = PlacementFactory()
    if model._meta.model_name in ("importundo", "importmend"):
        fields["run"] = ImportRun.objects.create(file_name="a.csv", created_at=YOUNG)
    return model._default_manager.create(status=status, created_at=when, **fields)


def test_what_was_wanted_is_known_when_its_events_are_gone():
    first, second = BuyerFactory(), BuyerFactory()
    car = ListingFactory()
    long_ago, that_night = OLD - timedelta(days=30), NOW - timedelta(days=DAYS, minutes=1)
    for buyer, kind, when in (
        (first, "view", long_ago), (first, "view", long_ago), (second, "view", long_ago), (second, "like", long_ago),
        (first, "view", that_night),
    ):  # fmt: skip
        InteractionFactory(buyer=buyer, listing=car, kind_id=kind, received_at=when)
    InteractionFactory(buyer=BuyerFactory(), listing=ListingFactory(source="items"), received_at=long_ago)
    bot = InteractionFactory(listing=car, received_at=long_ago).buyer
    BotMark.objects.create(buyer=bot, is_bot=True, decided_at=NOW)
    kept = InteractionFactory(buyer=first, listing=car, received_at=YOUNG)
    for _ in range(2):  # a day is counted once, however often it is asked
        retention.remove_old_rows(now=NOW)
        assert list(Interaction.objects.all()) == [kept]
        found = DemandDay.objects.values_list("day", "car_model", "kind", "n_events", "n_buyers")
        assert sorted(found) == [
            (long_ago.astimezone(UTC).date(), car.car_model_id, "like", 1, 1),
            (long_ago.astimezone(UTC).date(), car.car_model_id, "view", 3, 2),
            (that_night.astimezone(UTC).date(), car.car_model_id, "view", 1, 1),
        ]


def remove(*names: str) -> int:
    """Of some kinds alone, in their order; how many rows."""
    chosen = [kind for kind in retention.kinds() if kind.name in names]
    assert len(chosen) == len(names)
    return sum(retention._remove(kind, NOW - timedelta(days=DAYS), 60) for kind in chosen)


ROW_OF_KIND = {
    "events": lambda when: InteractionFactory(received_at=when, occurred_at=when),
    "lists": lambda when: ServedListFactory(served_at=when),
    "impressions": lambda when: Impression.objects.create(
        event_id=uuid.uuid4().hex,
        sender="key:1",
        content_digest=1,
        buyer=BuyerFactory(),
        positions=[1],
        occurred_at=when,
        received_at=when,
    ),
    "anonymous buyers": guest,
    "price changes": lambda when: PriceChangeFactory(changed_at=when),
    "ended listings": ended_listing,
    "audit entries": lambda when: AuditEntry.objects.create(at=when, action="changed", model="x"),
}


@pytest.mark.parametrize("kind", retention.kinds(), ids=lambda kind: kind.name)
def test_of_each_kind_the_old_rows_go_and_the_young_ones_stay(kind, monkeypatch):
    monkeypatch.setattr(retention, "JOBS_KEPT", 1)
    model = next((each for each in job_models() if kind.name == f"jobs: {each._meta.verbose_name_plural}"), None)
    make = ROW_OF_KIND[kind.name] if model is None else lambda when: job(model, when)
    young = make(YOUNG)
    old = [make(OLD - timedelta(minutes=n)) for n in range(3)]
    rows = type(young)._default_manager
    before = ROWS_REMOVED.labels(kind.name)._value.get()
    assert remove(kind.name) == 3
    assert not rows.filter(pk__in=[each.pk for each in old]).exists()
    assert rows.filter(pk=young.pk).exists()
    assert ROWS_REMOVED.labels(kind.name)._value.get() == before + 3


def test_a_kind_is_kept_for_ever_where_its_setting_is_0(settings):
    old = [make(OLD) for make in ROW_OF_KIND.values()]
    for name in SETTINGS:
        setattr(settings, name, 0)
    assert retention.remove_old_rows(now=NOW) == {}
    assert all(type(each)._default_manager.filter(pk=each.pk).exists() for each in old)


def test_nothing_but_jobs_is_removed_unless_a_setting_says_so():
    assert {name for name in SETTINGS if documented()[name] != "0"} == {"KEEP_JOBS_DAYS"}


def test_many_batches_remove_the_same(monkeypatch):
    listing = ListingFactory()
    for n in range(7):
        InteractionFactory(listing=listing, received_at=OLD - timedelta(seconds=n // 2), occurred_at=OLD)
    in_use = ServedListFactory(served_at=OLD - timedelta(days=1))
    InteractionFactory(listing=listing, served_list=in_use, received_at=YOUNG)
    for _ in range(5):
        ServedListFactory(served_at=OLD)
    for kind in retention.kinds()[:2]:
        object.__setattr__(kind, "n_at_once", 2)
        retention._remove(kind, NOW - timedelta(days=DAYS), 60)
    assert Interaction.objects.get().served_list_id == in_use.pk
    assert ServedList.objects.get() == in_use


def test_a_list_stays_as_long_as_its_events():
    served = ServedListFactory(served_at=OLD)
    event = InteractionFactory(served_list=served, received_at=YOUNG, occurred_at=YOUNG)
    remove("events", "lists")
    assert ServedList.objects.filter(pk=served.pk).exists()
    Interaction.objects.filter(pk=event.pk).update(received_at=OLD)
    remove("events", "lists")
    assert not ServedList.objects.filter(pk=served.pk).exists()


@pytest.mark.parametrize("named_by", ["event", "list", "rule", "nothing"])
def test_an_ended_listing_stays_as_long_as_something_names_it(named_by):
    car = ended_listing(OLD)
    PriceChangeFactory(listing=car, changed_at=YOUNG)
    ShownAgain.objects.create(buyer=BuyerFactory(), listing=car)
    if named_by == "event":
        InteractionFactory(listing=car, received_at=YOUNG, occurred_at=YOUNG)
    if named_by == "list":
        ServedListFactory(served_at=YOUNG, listing_ids=[car.pk, car.pk + 1])
    if named_by == "rule":
        MerchandisingRule.objects.create(name="pin it").listings.add(car)
    remove("events", "lists", "ended listings")
    assert Listing.objects.filter(pk=car.pk).exists() is (named_by != "nothing")
    assert PriceChange.objects.filter(listing=car).exists() is (named_by != "nothing")


@pytest.mark.parametrize("status", ["draft", "live", "reserved"])
def test_what_is_on_offer_is_never_removed(status):
    car = ListingFactory(status=status, published_at=OLD - timedelta(days=900))
    remove("ended listings")
    assert Listing.objects.filter(pk=car.pk).exists()


def test_every_relation_of_a_listing_is_removed_with_it_or_keeps_it():
    relations = [
        field for field in Listing._meta.get_fields(include_hidden=True) if field.auto_created and field.is_relation
    ]
    assert {f"{relation.related_model._meta.object_name}.{relation.field.name}" for relation in relations} == {
        "PriceChange.listing",
        "ShownAgain.listing",
        "CarAlert.listing",
        "ListingVector.listing",
        "Interaction.listing",
        "MerchandisingRule.listings",
        "MerchandisingRule_listings.listing",
    }


@pytest.mark.parametrize("what", ["acted", "was shown", "has an account", "has an id", "became another", "is another"])
def test_a_buyer_who_is_known_or_was_active_stays(what):
    buyer = guest(OLD)
    if what == "acted":
        InteractionFactory(buyer=buyer, received_at=YOUNG, occurred_at=OLD)
    if what == "was shown":
        ServedListFactory(buyer=buyer, served_at=YOUNG)
    if what == "has an account":
        buyer = BuyerFactory(created_at=OLD)
    if what == "has an id":
        Buyer.objects.filter(pk=buyer.pk).update(external_id=uuid.uuid4().hex)
    if what == "became another":
        Buyer.objects.filter(pk=buyer.pk).update(merged_into=BuyerFactory())
    if what == "is another":
        Buyer.objects.filter(pk=guest(YOUNG).pk).update(merged_into=buyer)
    remove("anonymous buyers")
    assert Buyer.objects.filter(pk=buyer.pk).exists()


def test_jobs_that_something_compares_with_stay(monkeypatch):
    monkeypatch.setattr(retention, "JOBS_KEPT", 2)
    version = RankerVersionFactory(status=RankerVersion.Status.LIVE)
    of_live = job(Evaluation, OLD - timedelta(days=500), version=version)
    unfinished = job(TrainingRun, OLD, status="queued")
    runs = [
        job(ImportRun, OLD - timedelta(days=n), status=status, file_name="a.csv", source=source)
        for source in ("a", "b")
        for status in ("done", "failed")
        for n in range(4)
    ]
    undoable = runs[3]
    ImportedListing.objects.create(
        run=undoable, listing_id=1, row_number=1, is_new=True, stored_at=NOW, before=None, outcome=""
    )
    remove("jobs: evaluations", "jobs: training runs", "jobs: import runs")
    assert Evaluation.objects.filter(pk=of_live.pk).exists()
    assert TrainingRun.objects.filter(pk=unfinished.pk).exists()
    kept = set(ImportRun.objects.values_list("pk", flat=True))
    newest = {each.pk for start in range(0, 16, 4) for each in runs[start : start + 2]}
    assert kept == newest | {undoable.pk}


def test_the_command_counts_before_it_removes(settings):
    InteractionFactory(received_at=OLD, occurred_at=OLD)
    output = io.StringIO()
    call_command("remove_old_rows", "--dry-run", stdout=output)
    assert "1 events" in output.getvalue()
    assert Interaction.objects.exists()
    call_command("remove_old_rows", stdout=output)
    assert not Interaction.objects.exists()
    for name in SETTINGS:
        setattr(settings, name, 0)
    call_command("remove_old_rows", stdout=output)
    assert "kept for ever" in output.getvalue()


def test_doctor_shows_the_settings_and_names_what_should_be_gone(settings):
    settings.KEEP_LISTS_DAYS = 0
    [finding] = look_at_retention()
    assert finding.level == Level.OK
    assert f"KEEP_EVENTS_DAYS={DAYS}" in finding.is_so
    assert "for ever: KEEP_LISTS_DAYS" in finding.is_so
    InteractionFactory(received_at=OLD - retention.OVERDUE, occurred_at=OLD)
    [finding] = look_at_retention()
    assert finding.level == Level.WARNING
    assert "events" in finding.is_so

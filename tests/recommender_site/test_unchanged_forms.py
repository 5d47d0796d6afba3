"""Every form of the console, saved as it was opened: nothing is changed, and the audit log says nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import ClockedSchedule, PeriodicTask

from accounts.models import AuditEntry
from catalog.attributes import CATEGORIES, NUMBERS
from catalog.models import Feed, Listing
from recommendations.models import Experiment, SavedSearch
from tests.admin_rows import ROW_OF
from tests.factories import UserFactory
from tests.html_forms import fields_of

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def full_listing() -> Listing:
    """A car of which every attribute is known, so that no field of its form is empty."""
    listing: Listing = ROW_OF[Listing]()
    for number in NUMBERS:
        setattr(listing, number.column, 201803 if number.kind == "month" else getattr(listing, number.column) or 7)
    for category in CATEGORIES:
        setattr(listing, category.column, category.choices[0].value)
    listing.photos = ["https://cars.example/1.jpg", "https://cars.example/2.jpg"]
    listing.photo_url, listing.tags, listing.description = (
        listing.photos[0],
        ["one owner", "towbar"],
        "Two lines:\nof it.",
    )
    listing.place, listing.latitude, listing.longitude = "Leeds", 53.8, -1.55
    listing.save()
    return listing


def stored(row: Model) -> dict[str, Any]:
    """All that a form may change: the columns of a row, what it is tied to, and the rows below it."""
    kept = type(row)._default_manager.get(pk=row.pk)
    values = {field.name: getattr(kept, field.attname) for field in kept._meta.concrete_fields}
    for tied in kept._meta.many_to_many:
        values[tied.name] = sorted(getattr(kept, tied.name).values_list("pk", flat=True))
    for below in kept._meta.related_objects:
        if below.one_to_many:
            rows = below.related_model._default_manager.filter(**{below.field.name: kept})
            values[below.name] = list(rows.order_by("pk").values())
    return {name: value for name, value in values.items() if name != "logentry"}


def schedule() -> PeriodicTask:
    """One of a task that there is."""
    row: PeriodicTask = ROW_OF[PeriodicTask]()
    row.task, row.description = "catalog.run_feeds", "Looks for files"
    row.save()
    return row


def feed() -> Feed:
    """With what its form fills in by itself, and a mapping of its columns."""
    row: Feed = ROW_OF[Feed]()
    row.options = {"misses": 2, "columns": {"Preis": "price"}, "most_missing": 0.4, "distance_unit": "mi"}
    row.save()
    return row


def experiment() -> Experiment:
    row: Experiment = ROW_OF[Experiment]()
    row.variants = {"a": {"share": 50.0, "overrides": {}}, "b": {"share": 50.0, "overrides": {"diversity": 0.2}}}
    row.control = "a"
    row.save()
    return row


def saved_search() -> SavedSearch:
    row: SavedSearch = ROW_OF[SavedSearch]()
    row.query = {"fuels": ["electric"], "max_price": 15000.0, "max_mileage_km": 12345, "ordering": "price"}
    row.save()
    return row


FULLER = {PeriodicTask: schedule, Feed: feed, Experiment: experiment, SavedSearch: saved_search, Listing: full_listing}
IN_SECONDS = {ClockedSchedule: "clocked_time"}  # what a form shows of a moment


@pytest.fixture
def superuser() -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def row_of(model: type[Model]) -> Model:
    row = FULLER.get(model, ROW_OF[model])()
    if name := IN_SECONDS.get(model):
        setattr(row, name, getattr(row, name).replace(microsecond=0))
        row.save()
    return row


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_form_that_is_saved_as_it_was_opened_changes_nothing(
    model, superuser, queued, django_capture_on_commit_callbacks
):
    """Neither a column, moments of change included, nor what waits for a worker."""
    row = row_of(model)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
    page = superuser.get(address)
    if 'name="_save"' not in page.text:
        assert not list(own_fields(page.text)), "fields that cannot be saved"
        return
    assert list(own_fields(page.text)), "a button that saves nothing"
    before, waiting = stored(row), list(queued)
    with django_capture_on_commit_callbacks(execute=True):
        answer = superuser.post(address, {**fields_of(page.text), "_save": "Save"})
    assert answer.status_code == 302, answer.context["errors"]
    assert stored(row) == before
    assert queued == waiting
    assert not AuditEntry.objects.filter(model=model._meta.label_lower, action="changed")


def own_fields(page: str) -> Iterator[str]:
    """Names of what a form of a row may change; buttons of the page beside it have a form of their own."""
    for name in fields_of(page):
        if name != "csrfmiddlewaretoken" and not name.startswith("_") and "_FORMS" not in name:
            yield name


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_column_of_a_list_has_a_name_that_is_a_word(model):
    pages = admin.site._registry[model]
    for name in pages.list_display:
        label = str(label_for_field(name, model, pages)).lower()
        assert len(label) > 1, name
        assert not label.startswith("n "), label

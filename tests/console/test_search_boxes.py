"""Every search box over names finds all the words, in any order, wherever they begin in a name."""

import re

import pytest
from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import CharField, TextField
from django.urls import reverse

from accounts.models import AuditEntry, Buyer, User
from catalog.models import CarModel, Listing, Make, Seller
from recommendations.models import EventKind, MerchandisingRule, Placement
from tests.admin_rows import ROW_OF
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, MakeFactory, SellerFactory, UserFactory

pytestmark = pytest.mark.django_db
HOSTILE = ["'", '"', "\\", "(", "a(b", "[", "*", "\0", "\ud800", "%", "_", "(?i)", "\\m", "x" * 500, "ř", "{3}"]


def found(client, model, typed: str) -> set[int]:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return {row.pk for row in client.get(url, {"q": typed}).context["cl"].queryset}


@pytest.fixture
def operator(client):
    client.force_login(UserFactory(operator=True, email="op@example.com", first_name="Op", last_name="Erator"))
    return client


def rows() -> list[tuple[object, list[str], list[str]]]:
    """A row of each kind with a name, what finds it, and what does not."""
    rover = CarModelFactory(make=MakeFactory(name="Land Rover"), name="Range Rover Evoque")
    person = UserFactory(email="x@example.com", first_name="Anna Maria", last_name="von Berg")
    user_words = ["berg anna", "maria", "Maria von", "x@exam", "ANNA"]
    return [
        (rover.make, ["Land Rover", "rover land", "rover", "LAND", "land-rover"], ["drover", "land bmw", "over"]),
        (rover, ["evoque rover", "land evoque", "range land rover"], ["evoque bmw"]),
        (SellerFactory(name="Autohaus Nord (Kiel)", place="Bad Bramstedt"),
         ["nord autohaus", "(Kiel)", "kiel bramstedt"], ["aus"]),
        (ListingFactory(car_model=rover, title="Evoque, one owner"),
         ["rover owner", "owner land evoque"], ["rover bmw"]),
        (person, user_words, ["erg", "anna smith"]),
        (BuyerFactory(user=person), user_words, ["anna smith"]),
        (Placement.objects.create(slug="foot", name="Foot of a search"), ["search foot"], ["search top"]),
        (EventKind.objects.create(slug="call", name="Phone call back", weight=1, half_life_days=1),
         ["back phone"], ["ack"]),
        (MerchandisingRule.objects.create(name="Summer sale of EVs", action="hide"), ["evs summer"], ["winter"]),
    ]  # fmt: skip


def test_all_words_in_any_order_over_all_names(operator):
    for row, finding, missing in rows():
        for typed in finding:
            assert row.pk in found(operator, type(row), typed), (row, typed)
        for typed in missing:
            assert row.pk not in found(operator, type(row), typed), (row, typed)


def test_nothing_that_is_typed_is_an_error(operator):
    for model in (Make, CarModel, Seller, Listing, User, Buyer, Placement, EventKind, MerchandisingRule):
        for typed in HOSTILE:
            found(operator, model, typed.encode(errors="replace").decode())


# --- Every page of the console ---------------------------------------------------------------------------------------
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
NAMES = (
    "name",
    "first_name",
    "last_name",
    "title",
    "file_name",
    "object_name",
    "by_name",
    "place",
    "task_name",
    "slug",
)
WORDWISE = ("begins_word", "icontains", "")  # Django's own way asks for each word anywhere
A_LOOKUP = re.compile(r"__(exact|startswith|istartswith|icontains|begins_word)$")
SEARCHED_ELSE = (Buyer, Listing)  # by the name of an account and by the words of a car; see above


def searched(model) -> dict[str, str]:
    """Path of each column that a search box asks -> how it compares."""
    fields = admin.site._registry[model].search_fields
    return {A_LOOKUP.sub("", field): (A_LOOKUP.search(field) or [None, ""])[1] for field in fields}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_page_over_rows_with_a_name_has_a_search_box_that_compares_word_by_word(model):
    """And one over rows of an account or a buyer asks for the names of the person, not for the email alone."""
    asked = searched(model)
    for column in NAMES:
        try:
            is_text = isinstance(model._meta.get_field(column), CharField | TextField)
        except FieldDoesNotExist:
            continue
        if is_text and model not in SEARCHED_ELSE:
            assert asked.get(column, "no") in WORDWISE or column == "slug", f"{column} is not searched word by word"
    for path, lookup in asked.items():
        if path.rpartition("__")[2] in NAMES:
            assert lookup in WORDWISE, f"{path} is searched by {lookup}"
        if path.endswith("email"):
            assert path.replace("email", "last_name") in asked
    if asked:
        assert admin.site._registry[model].search_help_text, "no one knows what is searched"


def named(row) -> str:
    """Words of one of the row's columns that is searched word by word, the last first; none where it has no such."""
    for path, lookup in searched(type(row)).items():
        value = row
        for part in path.split("__"):
            value = getattr(value, part, None)
        if lookup in WORDWISE and isinstance(value, str) and value:
            words = re.findall(r"\w+", value)
            return " ".join(reversed(words))
    return ""


@pytest.mark.parametrize(
    "model", [model for model in MODELS if searched(model) and model not in SEARCHED_ELSE], ids=lambda m: m._meta.label
)
def test_the_words_of_a_rows_name_find_it_in_another_order(client, model):
    client.force_login(UserFactory(operator=True))
    row = ROW_OF[model]()
    if typed := named(row):
        assert row.pk in found(client, model, typed), typed
    for typed in HOSTILE[:9]:
        found(client, model, typed.encode(errors="replace").decode())


def rows_of_a_buyer() -> list[type]:
    return [model for model in MODELS if searched(model).get("buyer__external_id") == "exact"]


@pytest.mark.parametrize("model", rows_of_a_buyer(), ids=lambda model: model._meta.label)
def test_rows_of_a_buyer_are_found_by_the_buyers_name(client, model):
    client.force_login(UserFactory(operator=True))
    row = ROW_OF[model]()
    row.buyer.user = UserFactory(first_name="Anna Maria", last_name="von Berg")
    row.buyer.save()
    assert found(client, model, "berg anna") == {row.pk}
    assert found(client, model, "berg smith") == set()


def test_the_page_of_a_buyer_is_headed_by_the_name(operator):
    buyer = BuyerFactory(user__first_name="Anna", user__last_name="Berg")
    page = operator.get(reverse("admin:accounts_buyer_change", args=[buyer.pk])).text
    assert f"Anna Berg · {buyer.user.email}" in page


def test_the_audit_log_is_searched_among_the_newest_entries_that_the_filters_leave(client, monkeypatch):
    client.force_login(UserFactory(operator=True))
    monkeypatch.setattr("accounts.admin.audit.ENTRIES_SEARCHED", 2)
    old, _, other, newest = (
        AuditEntry.objects.create(action="changed", model=model, object_id="1", object_name="Winter tyres")
        for model in ("catalog.make", "catalog.make", "catalog.seller", "catalog.make")
    )
    assert found(client, AuditEntry, "tyres") == {other.pk, newest.pk}
    url = reverse("admin:accounts_auditentry_changelist")
    of_sellers = client.get(url, {"q": "tyres winter", "model": "catalog.seller"}).context["cl"].queryset
    assert {row.pk for row in of_sellers} == {other.pk}
    assert old.pk not in found(client, AuditEntry, "winter")

"""The audit log: what operators change in the console is kept with both sides, and people can be taken out of it."""

import base64
from typing import Any

import pytest
from django.contrib import admin
from django.forms import Form, PasswordInput
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Buyer, User
from accounts.services import erase_person, export_person
from catalog.models import Listing, Seller
from console.auditing import changes, changes_of, readable, record, snapshot
from recommendations.models import EventKind, Placement
from tests.factories import ApiKeyFactory, BuyerFactory, ListingFactory, PlacementFactory, SellerFactory, UserFactory
from web.redaction import IS_SECRET_NAME

pytestmark = pytest.mark.django_db


@pytest.fixture
def carol() -> User:
    return UserFactory(operator=True, email="carol@example.com")


@pytest.fixture
def operator(client: Client, carol: User) -> Client:
    client.force_login(carol)
    return client


def the_entry() -> AuditEntry:
    return AuditEntry.objects.get()


def shown_in(page: Any) -> dict[str, object]:
    """What a browser sends back of a form left as it is: its own fields and the rows of its inlines."""
    given = dict(page.context["adminform"].form.initial)
    for inline in page.context["inline_admin_formsets"]:
        for form in [inline.formset.management_form, *inline.formset.forms]:
            given |= {
                form.add_prefix(name): form.get_initial_for_field(field, name) for name, field in form.fields.items()
            }
    return {name: value for name, value in given.items() if value is not None}


# --- Forms -----------------------------------------------------------------------------------------------------------
def test_a_change_in_a_form_is_kept_with_both_sides_and_nothing_else(operator: Client, carol: User):
    seller = SellerFactory(name="Old name")
    page = operator.get(reverse("admin:catalog_seller_change", args=[seller.pk]))
    sent = operator.post(
        reverse("admin:catalog_seller_change", args=[seller.pk]), {**shown_in(page), "name": "New name"}
    )
    assert sent.status_code == 302
    entry = the_entry()
    assert (entry.by, entry.by_name, entry.action) == (carol, "carol@example.com", "changed")
    assert (entry.model, entry.object_id, entry.object_name) == ("catalog.seller", str(seller.pk), "New name")
    assert (entry.before, entry.after) == ({"name": "Old name"}, {"name": "New name"})


def test_saving_a_form_as_it_was_is_no_change(operator: Client):
    seller = SellerFactory()
    page = operator.get(reverse("admin:catalog_seller_change", args=[seller.pk]))
    assert operator.post(reverse("admin:catalog_seller_change", args=[seller.pk]), shown_in(page)).status_code == 302
    assert not AuditEntry.objects.exists()


def test_a_new_row_is_kept_with_what_was_filled_in(operator: Client):
    given = {"name": "Autohaus Nord", "slug": "nord", "kind": "dealer"}
    operator.post(reverse("admin:catalog_seller_add"), given)
    entry = the_entry()
    assert (entry.action, entry.before, entry.after["name"]) == ("added", None, "Autohaus Nord")
    assert entry.object_id == str(Seller.objects.get().pk)


def test_a_removed_row_is_kept_as_it_was(operator: Client):
    placement = PlacementFactory(slug="corner", name="Corner")
    operator.post(reverse("admin:recommendations_placement_delete", args=[placement.pk]), {"post": "yes"})
    entry = the_entry()
    assert (entry.action, entry.object_name, entry.before["slug"], entry.after) == ("removed", "Corner", "corner", None)
    assert not Placement.objects.filter(slug="corner").exists()


def test_editing_in_the_list_is_a_change_like_any_other(operator: Client):
    page = operator.get(reverse("admin:recommendations_eventkind_changelist"))
    formset = page.context["cl"].formset
    given = {f"{formset.prefix}-{name}": value for name, value in formset.management_form.initial.items()}
    for form in formset.forms:
        for name in form.fields:
            value = form.get_initial_for_field(form.fields[name], name)
            if value is True:
                given[form.add_prefix(name)] = "on"
            elif value is not None and value is not False:  # 0 is given too
                given[form.add_prefix(name)] = getattr(value, "pk", value)
    view = next(form for form in formset.forms if form.instance.slug == "view")
    given[view.add_prefix("weight")] = "1.25"
    operator.post(reverse("admin:recommendations_eventkind_changelist"), {**given, "_save": "Save"})
    assert EventKind.objects.get(slug="view").weight == 1.25
    entry = the_entry()
    assert (entry.object_id, entry.before, entry.after) == ("view", {"weight": 1.0}, {"weight": 1.25})


# --- Actions ---------------------------------------------------------------------------------------------------------
def test_an_action_on_many_rows_keeps_an_entry_for_each(operator: Client):
    listings = [ListingFactory(), ListingFactory()]
    operator.post(
        reverse("admin:catalog_listing_changelist"),
        {"action": "withdraw", "_selected_action": [listing.pk for listing in listings]},
    )
    entries = AuditEntry.objects.filter(model="catalog.listing")
    assert {entry.object_id for entry in entries} == {str(listing.pk) for listing in listings}
    assert all((entry.before["status"], entry.after["status"]) == ("live", "withdrawn") for entry in entries)
    assert set(Listing.objects.values_list("status", flat=True)) == {"withdrawn"}


def test_a_rows_history_is_its_entries(operator: Client, carol: User):
    one, other = SellerFactory(), SellerFactory()
    record(by=carol, action="changed", target=one, note="first")
    record(by=carol, action="changed", target=other, note="second")
    page = operator.get(reverse("admin:catalog_seller_history", args=[one.pk]), follow=True)
    assert [entry.note for entry in page.context["cl"].result_list] == ["first"]


def test_no_one_edits_the_log_by_hand(operator: Client, carol: User):
    entry = record(by=carol, action="changed", target=SellerFactory())
    for page in ("change", "delete"):
        answer = operator.post(reverse(f"admin:accounts_auditentry_{page}", args=[entry.pk]), {"post": "yes"})
        assert answer.status_code == 403
    assert operator.get(reverse("admin:accounts_auditentry_add")).status_code == 403


# --- Values ----------------------------------------------------------------------------------------------------------
def test_secrets_are_never_kept():
    assert "hashed_key" not in snapshot(ApiKeyFactory())
    assert "password" not in snapshot(UserFactory())


def test_what_is_typed_where_it_is_not_shown_is_never_kept():
    """Of every form of the console: its password fields, and whatever has the name of a secret."""
    found = set()
    for model, pages in admin.site._registry.items():
        forms = [form for form in (pages.form, getattr(pages, "add_form", None)) if form]
        for name, field in ((name, field) for form in forms for name, field in form.base_fields.items()):
            if isinstance(field.widget, PasswordInput) or IS_SECRET_NAME.search(name):
                found.add(f"{model._meta.model_name}.{name}")
                assert changes_of(FormThatChanged({name: field}, {name: "Zq7"})) == ({}, {}), (model, name)
    assert {"feed.password", "endpoint.secret", "user.password1"} <= found


class FormThatChanged(Form):
    def __init__(self, fields, values):
        super().__init__(values)
        self.fields = fields
        self.cleaned_data = values
        self.changed_data = list(values)  # type: ignore[misc]


def test_the_secret_of_an_endpoint_is_in_no_entry(client: Client):
    client.force_login(UserFactory(operator=True))
    secret = "whsec_" + base64.b64encode(b"Zq7" * 10).decode()
    given = {"name": "A shop", "url": "https://shop.example/", "events": ["listing.sold"], "secret": secret}
    assert client.post(reverse("admin:webhooks_endpoint_add"), given | {"is_enabled": "on"}).status_code == 302
    entries = str(list(AuditEntry.objects.values()))
    assert "A shop" in entries
    assert secret not in entries


def test_only_differences_are_changes():
    assert changes({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ({"b": 2, "c": None}, {"b": 3, "c": 4})


def test_values_are_kept_as_people_read_them():
    seller = SellerFactory(name="Nord")
    assert readable([seller, {"of": seller}]) == ["Nord", {"of": "Nord"}]
    assert readable("x" * 501) == "x" * 500 + "…"


# --- People ----------------------------------------------------------------------------------------------------------
def test_an_erased_person_is_in_no_entry_but_the_erasure_is(carol: User):
    buyer = BuyerFactory(user=UserFactory(email="dora@example.com"))
    record(by=carol, action="changed", target=buyer, before={"place": "Kiel"}, after={"place": "Bonn"}, note="Dora")
    record(by=carol, action="changed", target=buyer.user, after={"email": "dora@example.com"})
    erase_person(buyer=buyer, by=carol)
    recorded = [(entry.object_name, entry.before, entry.after, entry.note) for entry in AuditEntry.objects.all()]
    assert "dora" not in str(recorded).lower()
    assert "Kiel" not in str(recorded)
    erased = AuditEntry.objects.get(action="erased")
    assert (erased.by, erased.object_id) == (carol, "")


def test_taking_a_persons_data_is_kept_too():
    export_person(buyer=BuyerFactory())
    assert (the_entry().action, the_entry().by, the_entry().note) == ("exported", None, "Asked for by the person.")


def test_the_console_erases_and_exports_a_person(operator: Client, carol: User):
    buyer = BuyerFactory(user=UserFactory(email="dora@example.com"))
    file = operator.get(reverse("admin:accounts_buyer_export", args=[buyer.pk]))
    assert file.headers["Content-Disposition"] == f'attachment; filename="buyer-{buyer.pk}.json"'
    assert file.json()["account"]["email"] == "dora@example.com"
    answer = operator.post(reverse("admin:accounts_buyer_erase", args=[buyer.pk]), {"_form_submitted": "on"})
    assert answer.headers["HX-Redirect"] == reverse("admin:accounts_buyer_changelist")
    assert not Buyer.objects.filter(pk=buyer.pk).exists()
    assert not User.objects.filter(email="dora@example.com").exists()
    assert AuditEntry.objects.get(action="erased").by == carol


def test_an_operators_account_is_not_erased_as_a_buyer(operator: Client, carol: User):
    buyer = BuyerFactory(user=carol)
    operator.post(reverse("admin:accounts_buyer_erase", args=[buyer.pk]), {"_form_submitted": "on"})
    assert User.objects.filter(pk=carol.pk).exists()
    assert not AuditEntry.objects.filter(action="erased").exists()
    assert operator.post(reverse("admin:accounts_buyer_delete", args=[buyer.pk]), {"post": "yes"}).status_code == 403

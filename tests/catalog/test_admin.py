"""Moderation in the admin: searching the stock, moving listings on, and keeping the price history."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from catalog.admin.stock import STATUS_CHANGES
from catalog.models import ImportProblem, ImportRun, Listing, PriceChange, SellerKey
from console import actions
from tests.factories import CarModelFactory, ListingFactory, MakeFactory, PriceChangeFactory, SellerFactory, UserFactory

pytestmark = pytest.mark.django_db
LISTINGS = "admin:catalog_listing_changelist"


@pytest.fixture
def viewer(client: Client) -> Client:
    person = UserFactory(is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_listing"))
    client.force_login(person)
    return client


def act(client: Client, action: str, *listings: Listing):
    given = {"action": action, "_selected_action": [listing.pk for listing in listings]}
    return client.post(reverse(LISTINGS), given, follow=True)


def messages_of(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def form_of(listing: Listing, **changes: object) -> dict[str, object]:
    """What the browser sends for a listing's page when only some fields were touched."""
    form = {
        name: getattr(listing, name) if getattr(listing, name) is not None else ""
        for name in ("title", "price", "currency", "year", "mileage_km", "fuel", "gearbox", "body", "external_id")
    }
    inline = {"price_changes-TOTAL_FORMS": 0, "price_changes-INITIAL_FORMS": 0}
    return {**form, "make": listing.make_id, "car_model": listing.car_model_id, **inline, **changes}


def test_who_may_add_listings_and_not_change_them_has_a_form(viewer: Client):
    person = User.objects.get()
    person.user_permissions.add(Permission.objects.get(codename="add_listing"))
    page = viewer.get(reverse("admin:catalog_listing_add")).content.decode()
    assert 'name="price"' in page
    listing = ListingFactory(price=8995, currency="GBP")
    page = viewer.get(reverse("admin:catalog_listing_change", args=[listing.pk])).content.decode()
    assert 'name="price"' not in page
    assert "£8,995" in page


# --- Searching -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("term", "n_found"),
    [
        ("octavia", 2), ("octa", 2), ("skoda 2019", 1), ("heated", 1), ("OCTAVIA heated", 1), ("rs-7", 1),
        ("skoda trabant", 0), ("' & | : *", 3), ("999999999999999999999", 0),
    ],
)  # fmt: skip
def test_a_search_finds_words_of_text_make_and_model_years_and_ids(operator: Client, term: str, n_found: int):
    skoda = CarModelFactory(make=MakeFactory(name="Skoda"), name="Octavia")
    ListingFactory(car_model=skoda, title="Family car", year=2019)
    ListingFactory(car_model=skoda, title="Another one", year=2015, description="Heated seats.")
    ListingFactory(car_model=CarModelFactory(make=MakeFactory(name="Audi"), name="A6"), year=2018, external_id="rs-7")
    response = operator.get(reverse(LISTINGS), {"q": term})
    assert response.context["cl"].result_count == n_found


def test_a_listing_is_found_by_its_own_number(operator: Client):
    listing, _ = ListingFactory(), ListingFactory()
    found = operator.get(reverse(LISTINGS), {"q": str(listing.pk)}).context["cl"].result_list
    assert list(found) == [listing]


@pytest.mark.parametrize("field", ["make", "seller"])
def test_the_stock_of_a_make_or_seller_is_one_click_away(operator: Client, field: str):
    listing, _ = ListingFactory(), ListingFactory(car_model=CarModelFactory(make=MakeFactory(name="Audi"), name="A6"))
    query = {f"{field}__id__exact": getattr(listing, f"{field}_id"), "status__exact": "live"}
    assert list(operator.get(reverse(LISTINGS), query).context["cl"].result_list) == [listing]


# --- Status ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("publish", {"draft": True}, "live"),
        ("reserve", {}, "reserved"),
        ("sell", {"reserved": True}, "sold"),
        ("withdraw", {}, "withdrawn"),
        ("relist", {"withdrawn": True}, "live"),
    ],
)
def test_every_status_action_works(operator: Client, action: str, before: dict, after: str):
    listing = ListingFactory(**before)
    act(operator, action, listing)
    listing.refresh_from_db()
    assert listing.status == after


def test_an_action_says_how_many_worked_and_why_the_others_did_not(operator: Client):
    live, sold = ListingFactory(title="Live one"), ListingFactory(title="Sold one", sold=True)
    bare = ListingFactory(bare=True, status="draft", published_at=None)
    assert messages_of(act(operator, "reserve", live, sold)) == [
        "1 listing reserved.",
        "1 listing not reserved. Sold one: A listing that is sold cannot be reserved.",
    ]
    assert messages_of(act(operator, "publish", bare)) == [
        f"1 listing not published. {bare}: The listing cannot go on sale without make or title and price.",
    ]


def test_a_refused_row_takes_nothing_back_from_the_others(operator: Client):
    first, sold, last = ListingFactory(), ListingFactory(sold=True), ListingFactory()
    act(operator, "withdraw", first, sold, last)
    assert Listing.objects.filter(status="withdrawn").count() == 2


def test_many_refusals_are_grouped_by_their_reason(operator: Client):
    refused = ListingFactory.create_batch(5, sold=True, title="Polo")
    (said,) = messages_of(act(operator, "reserve", *refused))
    assert said == "5 listings not reserved. Polo, Polo, Polo and 2 more: A listing that is sold cannot be reserved."


def test_more_rows_than_one_request_can_take_are_refused_before_anything_changes(operator: Client, monkeypatch):
    monkeypatch.setattr(actions, "ROWS_PER_ACTION", 1)
    listings = ListingFactory.create_batch(2)
    assert messages_of(act(operator, "withdraw", *listings)) == [
        "Nothing was changed: select at most 1 rows at a time."
    ]
    assert Listing.objects.available().count() == 2


def test_a_change_of_status_is_kept_in_the_history_of_the_listing(operator: Client):
    listing = ListingFactory()
    act(operator, "reserve", listing)
    page = operator.get(reverse("admin:catalog_listing_history", args=[listing.pk]), follow=True)
    (entry,) = page.context["cl"].result_list
    assert (entry.note, entry.before["status"], entry.after["status"]) == ("Reserved", "live", "reserved")


def test_a_viewer_is_offered_no_action_and_cannot_force_one(viewer: Client):
    listing = ListingFactory()
    response = act(viewer, "withdraw", listing)
    assert not [name for name, _ in response.context["cl"].model_admin.get_action_choices(response.wsgi_request)[1:]]
    listing.refresh_from_db()
    assert listing.status == "live"


def test_the_status_changes_on_the_listing_page_too_but_never_by_a_mere_link(operator: Client):
    listing = ListingFactory()
    page = reverse("admin:catalog_listing_change_status", args=[listing.pk])
    operator.get(page)
    listing.refresh_from_db()
    assert listing.status == "live"
    response = operator.post(page, {"_form_submitted": "on", "change": "reserve"})
    assert response.headers["HX-Redirect"] == reverse("admin:catalog_listing_change", args=[listing.pk])
    listing.refresh_from_db()
    assert listing.status == "reserved"


@pytest.mark.parametrize("status", Listing.Status.values)
def test_the_listing_page_offers_what_can_happen_to_a_car_of_its_status_and_nothing_else(operator: Client, status: str):
    ended_at = timezone.now() if status in ("sold", "withdrawn", "expired") else None
    listing = ListingFactory(status=status, ended_at=ended_at)
    page = reverse("admin:catalog_listing_change_status", args=[listing.pk])
    offered = set(re.findall(r'<option value="(\w+)"', operator.get(page).text))
    assert offered
    for name in STATUS_CHANGES:
        Listing.objects.filter(pk=listing.pk).update(status=status, ended_at=ended_at)
        operator.post(page, {"_form_submitted": "on", "change": name})
        listing.refresh_from_db()
        assert (listing.status != status) is (name in offered), name


def test_the_listing_form_names_attributes_as_lists_do(operator: Client):
    page = operator.get(reverse("admin:catalog_listing_change", args=[ListingFactory().pk]))
    fields = page.context["adminform"].form.fields
    assert {name: str(fields[name].label) for name in ("vat", "fuel")} == {"vat": "VAT", "fuel": "Fuel"}


def test_a_viewer_cannot_change_the_status_on_the_listing_page(viewer: Client):
    listing = ListingFactory()
    page = reverse("admin:catalog_listing_change_status", args=[listing.pk])
    assert viewer.post(page, {"_form_submitted": "on", "change": "reserve"}).status_code == 403


# --- Price -----------------------------------------------------------------------------------------------------------
def test_a_new_price_is_noted_in_the_price_history(operator: Client):
    listing = ListingFactory(price=12_000)
    operator.post(
        reverse("admin:catalog_listing_change", args=[listing.pk]), form_of(listing, price="11000", year=2018)
    )
    listing.refresh_from_db()
    change = PriceChange.objects.get()
    assert (listing.price, listing.year) == (Decimal(11_000), 2018)
    assert (change.old_price, change.new_price) == (12_000, 11_000)


def test_a_first_price_is_no_change_of_price(operator: Client):
    listing = ListingFactory(price=None, draft=True)
    operator.post(reverse("admin:catalog_listing_change", args=[listing.pk]), form_of(listing, price="11000"))
    listing.refresh_from_db()
    assert listing.price == 11_000
    assert not PriceChange.objects.exists()


def test_the_price_history_shows_on_the_listing_and_cannot_be_edited(operator: Client):
    change = PriceChangeFactory()
    page = operator.get(reverse("admin:catalog_listing_change", args=[change.listing_id]))
    assert "13000" in page.text.replace(",", "")
    assert 'name="price_changes-0-old_price"' not in page.text


# --- Imports ---------------------------------------------------------------------------------------------------------
def test_the_problems_of_an_import_show_by_reason_and_by_row(operator: Client):
    run = ImportRun.objects.create(file_name="cars.csv", status="done")
    for row in range(1, 31):
        ImportProblem.objects.create(run=run, row_number=row, column="price", value="POA", reason="is not a price")
    page = operator.get(reverse("admin:catalog_importrun_change", args=[run.pk]))
    assert page.text.count("<td>POA</td>") == 20
    assert "<td>30</td>" in page.text
    problems = operator.get(reverse("admin:catalog_importproblem_changelist"), {"run__id__exact": run.pk})
    assert problems.context["cl"].result_count == 30


def test_a_key_that_names_the_wrong_seller_is_taken_away_on_its_page(operator: Client):
    seller = SellerFactory()
    wrong, right = (SellerKey.objects.create(seller=seller, key=key) for key in ("north/9", "=place/north/leeds"))
    page = reverse("admin:catalog_seller_change", args=[seller.pk])
    assert "north/9" in operator.get(page).text
    form = {"name": seller.name, "kind": seller.kind, "external_id": seller.external_id or "", "place": seller.place}
    form |= {"keys-TOTAL_FORMS": 2, "keys-INITIAL_FORMS": 2}
    for number, key in enumerate(SellerKey.objects.order_by("seller", "key")):
        form |= {f"keys-{number}-id": key.pk, f"keys-{number}-seller": seller.pk}
        form |= {f"keys-{number}-DELETE": "on"} if key == wrong else {}
    person = UserFactory(is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_seller"))
    viewer = Client()
    viewer.force_login(person)
    assert "-DELETE" not in viewer.get(page).text
    assert viewer.post(page, form).status_code == 403
    assert operator.post(page, form).status_code == 302
    assert list(SellerKey.objects.all()) == [right]
    assert "north/9" in AuditEntry.objects.get(model="catalog.seller").note


def test_makes_and_sellers_say_how_many_cars_they_have_for_sale(operator: Client):
    seller = SellerFactory()
    ListingFactory(seller=seller), ListingFactory(seller=seller, sold=True)
    for model in ("make", "seller", "carmodel"):
        (row,) = operator.get(reverse(f"admin:catalog_{model}_changelist")).context["cl"].result_list
        assert row.n_live == 1


def test_one_advertisement_of_each_car_is_kept(operator: Client):
    model, now = CarModelFactory(), timezone.now()
    facts = {"car_model": model, "year": 2018, "mileage_km": 41_237, "price": 12_345, "colour": "blue"}
    newer = ListingFactory(**facts, published_at=now)
    oldest = ListingFactory(**facts, published_at=now - timedelta(days=9))
    another = ListingFactory(**{**facts, "mileage_km": 41_238}, published_at=now)
    unknown = [ListingFactory(**{**facts, "mileage_km": None}, published_at=now) for _ in range(2)]
    unticked = ListingFactory(**facts, published_at=now)
    act(operator, "keep_one", newer, oldest, another, *unknown)
    found = dict(Listing.objects.values_list("pk", "status"))
    assert found.pop(newer.pk) == "withdrawn"
    assert set(found) == {row.pk for row in (oldest, another, *unknown, unticked)}
    assert set(found.values()) == {"live"}
    assert AuditEntry.objects.filter(object_id=str(newer.pk)).exists()
    assert "No two of them are the same car" in act(operator, "keep_one", oldest, another).content.decode()

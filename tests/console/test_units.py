"""The console and the shop write distances, power and prices in the units of the market, whichever those are."""

import re

import pytest
from django import forms
from django.contrib.admin import site
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.models import Buyer
from accounts.roles import VIEWER
from catalog import units
from catalog.admin import market_filters
from catalog.admin.attribute_fields import form_field_of
from catalog.attributes import BY_NAME
from catalog.models import Listing, PriceChange
from recommendations.admin.filter_fields import field_of
from recommendations.models import CarAlert, Interaction, SavedSearch
from tests.admin_rows import car_alert, merchandising_rule
from tests.factories import ListingFactory, UserFactory, user_of_role
from tests.markets import trained_market

pytestmark = pytest.mark.django_db
MARKETS = {"GBP": ("miles", "hp", "£"), "EUR": ("km", "kW", "€")}
FOREIGN = {
    "GBP": r"\bkm\b|\bkW\b|€|\bEUR\b|\d\s?GBP\b", "EUR": r"\bmiles?\b|\bhp\b|\bmpg\b|£|\bGBP\b|\d\s?EUR\b",
}  # fmt: skip
BARE = r"\b\d{4,}\.\d\d\b"  # an amount as the database has it


def pages(market) -> list[str]:
    listing, buyer = market.skodas[0], Buyer.objects.order_by("pk")[0]
    change = PriceChange.objects.create(listing=listing, old_price=13_500, new_price=13_000, currency=listing.currency)
    alert = car_alert()
    CarAlert.objects.filter(pk=alert.pk).update(price=13_000)
    sale = Interaction.objects.order_by("pk")[0]
    Interaction.objects.filter(pk=sale.pk).update(value=13_000)
    SavedSearch.objects.create(buyer=buyer, name="a", query={"max_mileage_km": 80_000, "min_power_kw": 60})
    names = {
        "catalog_listing_changelist": [], "catalog_listing_change": [listing.pk], "catalog_listing_add": [],
        "catalog_listing_demand": [listing.pk], "catalog_quality": [], "accounts_buyer_change": [buyer.pk],
        "accounts_buyer_lab": [buyer.pk], "recommendations_savedsearch_changelist": [],
        "recommendations_merchandisingrule_add": [], "recommendations_tastemap_map": [],
        "recommendations_merchandisingrule_change": [merchandising_rule().pk],
        "recommendations_placement_add": [], "recommendations_rankerversion_comparison": [],
        "catalog_pricechange_changelist": [], "catalog_pricechange_change": [change.pk],
        "recommendations_caralert_change": [alert.pk], "recommendations_interaction_change": [sale.pk],
    }  # fmt: skip
    of_console = [reverse("admin:index"), *(reverse(f"admin:{name}", args=args) for name, args in names.items())]
    return [*of_console, reverse("shop"), reverse("shop-car", args=[listing.pk])]


def test_no_page_writes_an_amount_in_units_of_another_market(settings):
    settings.DEMO_MODE = True
    market = trained_market(4)
    addresses, car = pages(market), reverse("admin:catalog_listing_change", args=[market.skodas[0].pk])
    staff, viewer = Client(), Client()
    staff.force_login(UserFactory(operator=True))
    viewer.force_login(user_of_role(VIEWER))
    for currency, (distance, power, sign) in MARKETS.items():
        settings.MARKET_CURRENCY = currency
        Listing.objects.update(currency=currency, mileage_km=61_155, power_kw=110, consumption_l_100km=5.1)
        PriceChange.objects.update(currency=currency)
        wrong, seen = {}, ""
        for address, client in [*((address, staff) for address in addresses), (car, viewer)]:
            answer = client.get(address)
            assert answer.status_code == 200, address
            text = strip_tags(re.sub(r"(?s)<(script|style|option)\b.*?</\1>", " ", answer.text))
            if found := re.findall(rf".{{0,40}}(?:{FOREIGN[currency]}|{BARE}).{{0,20}}", text):
                wrong[address] = found
            seen += text
        assert wrong == {}, currency
        assert f"{sign}13,500 → {sign}13,000" in seen
        assert f"Mileage to ({distance})" in seen
        assert f"Power from ({power})" in seen
        assert f"{units.number(38_000 if distance == 'miles' else 61_155)}{units.NBSP}{distance}" in seen
        assert sign in seen


@pytest.mark.parametrize(("currency", "distance", "power", "shown"), [
    ("GBP", "", "", ("38,000\u00a0miles", "148\u00a0hp")), ("EUR", "", "", ("61,155\u00a0km", "110\u00a0kW")),
    ("GBP", "km", "kW", ("61,155\u00a0km", "110\u00a0kW")),
    ("EUR", "miles", "hp", ("38,000\u00a0miles", "148\u00a0hp")),
])  # fmt: skip
def test_units_are_those_of_the_settings_or_else_of_the_currency(settings, currency, distance, power, shown):
    settings.MARKET_CURRENCY, settings.MARKET_DISTANCE, settings.MARKET_POWER = currency, distance, power
    assert (units.distance(61_155), units.power(110)) == shown


@pytest.mark.parametrize("unit", ["km", "kW"])
@pytest.mark.parametrize("currency", MARKETS)
def test_a_form_that_is_saved_unread_changes_no_number(settings, currency, unit):
    settings.MARKET_CURRENCY = currency
    measure = units.measure_of(unit)
    for stored in (0, 1, 2, 99, 110, 37_442, 61_155, 61_156, 61_157, 600_000):
        assert round(measure.stored(float(str(measure.shown(stored))))) == stored


@pytest.mark.parametrize(("currency", "unit", "shown", "mileage"), [
    ("GBP", "mpg", 55.4, 40.0), ("USD", "mpg", 46.1, 40.0), ("EUR", "l/100 km", 5.1, 7.06),
])  # fmt: skip
def test_consumption_is_typed_in_the_units_of_the_market_and_stays_where_it_is_saved_unread(
    settings, currency, unit, shown, mileage
):
    settings.MARKET_CURRENCY = currency
    listing = ListingFactory(consumption_l_100km=5.1)
    request = RequestFactory().get("/")
    request.user = UserFactory(operator=True)
    form_class = site.get_model_admin(Listing).get_form(request, listing)
    form = form_class(instance=listing)
    field = form["consumption_l_100km"]
    assert (field.label, field.value()) == (f"Consumption ({unit})", shown)
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in sent.items() if value is not None}
    unread = form_class(sent, instance=listing)
    assert unread.is_valid(), unread.errors
    assert "consumption_l_100km" not in unread.changed_data
    assert unread.save().consumption_l_100km == 5.1
    changed = form_class({**sent, "consumption_l_100km": str(mileage)}, instance=listing)
    assert changed.is_valid(), changed.errors
    expected = {"GBP": 7.06, "USD": 5.88, "EUR": 7.06}[currency]
    assert changed.save().consumption_l_100km == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("stored", [0.0, 3.3, 5.13, 6.194755, 9.4, 14.87, 40.0])
@pytest.mark.parametrize("currency", ["GBP", "USD", "EUR"])
def test_any_consumption_stays_where_a_form_is_saved_unread(settings, currency, stored):
    settings.MARKET_CURRENCY = currency

    class Form(forms.Form):
        thirst = form_field_of("consumption_l_100km")

    shown = Form(initial={"thirst": stored})["thirst"].value()
    form = Form({"thirst": str(shown)}, initial={"thirst": stored})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["thirst"] == stored
    assert not form.has_changed()


def test_a_number_of_miles_per_gallon_that_no_column_holds_is_refused_by_name(settings):
    settings.MARKET_CURRENCY = "GBP"
    with pytest.raises(ValidationError, match="too small"):
        form_field_of("consumption_l_100km").clean("0.01")


@pytest.mark.parametrize("currency", MARKETS)
def test_a_radius_that_is_saved_unread_stays(settings, currency):
    settings.MARKET_CURRENCY = currency
    field = field_of("radius_km")
    for stored in (0.1, 0.4, 5, 12.7, 16.09344, 250):
        assert field.clean(str(field.prepare_value(stored))) == pytest.approx(stored, rel=1e-6)
    assert field.prepare_value(units.measure_of("km").stored(10)) == 10


def test_a_number_is_typed_in_the_unit_of_the_market_and_stored_in_kilometres(settings):
    from recommendations.admin.lab_form import LabForm

    settings.MARKET_CURRENCY = "GBP"
    form = LabForm({"max_mileage": "38000", "latitude": "52", "longitude": "13", "radius": "10"})
    assert form.is_valid(), form.errors
    filters = form.filters()
    assert filters.max_mileage_km == 61_155
    assert filters.radius_km == pytest.approx(16.09344)


def test_a_list_is_narrowed_by_fractions_where_the_column_holds_fractions(monkeypatch):
    small, large = ListingFactory(engine_l=1.2), ListingFactory(engine_l=1.6)
    monkeypatch.setitem(market_filters.NUMBERS, "engine_l", BY_NAME["engine"])  # as if lists were filtered by it
    admin, field = site.get_model_admin(Listing), Listing._meta.get_field("engine_l")
    for ending, found in [("from", large), ("to", small)]:
        asked = {f"engine_l_{ending}": ["1.4"]}
        narrow = market_filters.MarketRangeFilter(field, None, asked, Listing, admin, "engine_l")
        assert list(narrow.queryset(None, Listing.objects.all())) == [found]

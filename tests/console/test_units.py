"""The console and the shop write distances, power and prices in the units of the market, whichever those are."""

import re

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.models import Buyer
from catalog import units
from catalog.admin import market_filters
from catalog.attributes import BY_NAME
from catalog.models import Listing
from recommendations.admin.filter_fields import field_of
from recommendations.models import SavedSearch
from tests.admin_rows import merchandising_rule
from tests.factories import ListingFactory, UserFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db
MARKETS = {"GBP": ("miles", "hp", "£"), "EUR": ("km", "kW", "€")}
FOREIGN = {"GBP": r"\bkm\b|\bkW\b|€|\bEUR\b", "EUR": r"\bmiles?\b|\bhp\b|£|\bGBP\b"}
# The one unit of a form that no market changes: see ``attribute_fields``.
CONSUMPTION = "Consumption (l/100 km)"


def pages(market) -> list[str]:
    listing, buyer = market.skodas[0], Buyer.objects.order_by("pk")[0]
    SavedSearch.objects.create(buyer=buyer, name="a", query={"max_mileage_km": 80_000, "min_power_kw": 60})
    names = {
        "catalog_listing_changelist": [], "catalog_listing_change": [listing.pk], "catalog_listing_add": [],
        "catalog_listing_demand": [listing.pk], "catalog_quality": [], "accounts_buyer_change": [buyer.pk],
        "accounts_buyer_lab": [buyer.pk], "recommendations_savedsearch_changelist": [],
        "recommendations_merchandisingrule_add": [], "recommendations_tastemap_map": [],
        "recommendations_merchandisingrule_change": [merchandising_rule().pk],
        "recommendations_placement_add": [], "recommendations_rankerversion_comparison": [],
    }  # fmt: skip
    of_console = [reverse("admin:index"), *(reverse(f"admin:{name}", args=args) for name, args in names.items())]
    return [*of_console, reverse("shop"), reverse("shop-car", args=[listing.pk])]


def test_no_page_writes_an_amount_in_units_of_another_market(settings):
    settings.DEMO_MODE = True
    market = trained_market(4)
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    addresses = pages(market)
    for currency, (distance, power, sign) in MARKETS.items():
        settings.MARKET_CURRENCY = currency
        Listing.objects.update(currency=currency, mileage_km=61_155, power_kw=110)
        wrong, seen = {}, ""
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 200, address
            text = strip_tags(re.sub(r"(?s)<(script|style|option)\b.*?</\1>", " ", answer.text))
            text = text.replace(CONSUMPTION, "")
            if found := re.findall(rf".{{0,40}}(?:{FOREIGN[currency]}).{{0,20}}", text):
                wrong[address] = found
            seen += text
        assert wrong == {}, currency
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

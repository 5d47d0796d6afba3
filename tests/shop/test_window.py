"""The shop window as a client of the API's own functions: the same lists, the same events, and what it says of them."""

import re

import pytest
from django.core import signing
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import AuditEntry, Buyer
from catalog.models import Listing
from recommendations.models import Interaction, Placement, SavedSearch, ServedList
from shop.questions import BEST, FIELDS, ORDERINGS
from shop.visitors import COOKIE, DEMO_EMAIL, SALT
from tests.factories import ListingFactory, UserFactory, user_of_role
from tests.markets import Market, make_market, trained_market

pytestmark = pytest.mark.django_db
SHOP, ACT, VISITOR, SEARCHES = (reverse(name) for name in ("shop", "shop-act", "shop-visitor", "shop-searches"))
HTMX = {"HX-Request": "true"}
UUID = "0190b4a5-0000-7000-8000-000000000000"
NONSENSE = [
    "", "-", "-" * 40, "a\0b", "\ud800", "x" * 5_000, "'\"<b>{{ 7 }}", "NaN", "9" * 400, "٣", "²", "like",
    "like ² - 1", f"like {2**64}", "like 1 not-a-list 1", "hide 1 - 99999999999", "show 1", "sold 1", "&" * 300,
    "a=1&" * 900, "%00", "9" * 5_000, f"like {'9' * 5_000}", f"like 1 {UUID} {'0' * 5_000}1",
    f"hide 1 {UUID} 00000199999",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO_MODE = True
    settings.SERVED_LIST_THREAD = False


@pytest.fixture
def market(db) -> Market:
    """Without a ranker, which is enough where it does not matter what is learned."""
    return make_market()


def held(client: Client) -> dict:
    return signing.loads(client.cookies[COOKIE].value, salt=SALT)


def shown(page: str) -> list[int]:
    return [int(key) for key in re.findall(r'data-card="(\d+)"', page)]


def button(page: str, deed: str, listing_id: int) -> str:
    """What a button of a card sends."""
    return next(iter(re.findall(rf'value="({deed} {listing_id} [^"]*)"', page)))


def link(page: str, listing_id: int) -> str:
    return next(iter(re.findall(rf'href="(/shop/cars/{listing_id}/[^"]*)"', page))).replace("&amp;", "&")


def test_each_click_moves_the_list_as_the_api_has_it_until_the_tour_ends_in_figures(client):
    market = trained_market()
    Placement.objects.update(exploration_positions=0)  # a place that is drawn for some visitors is not the taste's
    client.post(VISITOR, {"role": "tour"})
    page = client.get(SHOP).text
    assert "Step 1 of 4" in page
    assert "Nothing yet of a new visitor" in page
    before, bmw = shown(page), market.bmws[0].pk
    sent = {"back": "", "shown": ",".join(map(str, before))}
    page = client.get(link(page, bmw), sent, headers=HTMX).text
    assert "Step 2 of 4" in page
    assert re.search(r"You opened[^.]*\.</strong>", page)
    assert re.search(r'class="learned more"><span aria-hidden="true">\+</span><span class="sr">more</span> BMW', page)
    assert re.search(r"learned in <b>\d+ ms</b>, new list in <b>\d+ ms</b>: \d+ new, \d+ moved", page)
    assert shown(page) != before
    assert set(shown(page)[:5]) <= {car.pk for car in market.bmws}
    for deed, step in (("like", 3), ("hide", 4)):
        page = client.post(ACT, {**sent, "act": button(page, deed, shown(page)[0])}, headers=HTMX).text
        assert f"Step {step} of 4" in page
    figures = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page[page.index('id="tour"') :]))
    assert figures["clicks recorded"] == "3"
    assert len([name for name in figures if "median" in name and re.fullmatch(r"\d+ ms", figures[name])]) == 2
    assert re.fullmatch(r"\d+ of 12", figures["cars at the top that were not there before"])
    assert "from 3 events" in page
    api = Client(headers={"X-Visitor-Key": held(client)["newcomer"]}).get("/api/v1/cars/recommendations?k=24").json()
    page = client.get(SHOP).text
    assert shown(page) == [car["id"] for car in api["recommended"]]
    assert all(escape(car["reason"]) in page for car in api["recommended"])
    later = client.get(f"{SHOP}?ordering=-price").text  # another list, long after what was measured
    assert shown(later) != shown(page)
    assert dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", later[later.index('id="tour"') :])) == figures


def test_opening_a_car_is_an_event_with_its_list_and_place(client, market):
    page = client.get(SHOP).text
    listing_id = shown(page)[3]
    answer = client.get(link(page, listing_id))
    event = Interaction.objects.get(kind="view", buyer__visitor_key=held(client)["guest"])
    assert (event.listing_id, event.position) == (listing_id, 4)
    assert event.served_list_id == ServedList.objects.first().pk
    assert "You opened" in answer.text


@pytest.mark.parametrize(("deed", "kind"), [("like", "like"), ("hide", "hide"), ("contact", "contact")])
def test_a_button_is_an_event_and_the_list_follows_at_once(client, market, deed, kind):
    page = client.get(SHOP).text
    before = shown(page)
    listing_id = before[2]
    sent = {"act": button(page, deed, listing_id), "back": "", "shown": ",".join(map(str, before))}
    answer = client.post(ACT, sent, headers=HTMX)
    event = Interaction.objects.get(kind=kind, buyer__visitor_key=held(client)["guest"])
    assert (event.listing_id, event.position) == (listing_id, before.index(listing_id) + 1)
    assert re.search(r"learned in <b>\d+ ms</b>, new list in <b>\d+ ms</b>", answer.text)
    assert (listing_id in shown(answer.text)) == (deed != "hide")


def test_without_scripts_a_button_leads_back_to_the_page_which_says_what_was_learned(client, market):
    page = client.get(SHOP, {"body": "saloon"}).text
    back = "body=saloon"
    answer = client.post(ACT, {"act": button(page, "like", shown(page)[0]), "back": back}, follow=True)
    assert answer.redirect_chain == [(f"{SHOP}?{back}", 302)]
    assert "You liked" in answer.text
    assert "You liked" not in client.get(SHOP).text


def test_a_hidden_car_comes_back_when_it_is_asked_for(client, market):
    page = client.get(SHOP).text
    listing_id = shown(page)[0]
    answer = client.post(ACT, {"act": button(page, "hide", listing_id), "back": ""}, headers=HTMX)
    assert f'value="show {listing_id}"' in answer.text
    client.post(ACT, {"act": f"show {listing_id}", "back": ""}, headers=HTMX)
    assert Buyer.objects.get(visitor_key=held(client)["guest"]).shown_again.filter(listing_id=listing_id).exists()


def test_a_heart_is_shown_until_it_is_taken_back(client, market):
    listing_id = shown(page := client.get(SHOP).text)[0]
    for deed, other in (("like", "dislike"), ("dislike", "like")):
        client.post(ACT, {"act": f"{deed} {listing_id} - 0", "back": ""})
        page = client.get(reverse("shop-car", args=[listing_id]), {"quiet": 1}).text
        assert f'value="{other} {listing_id} ' in page


def test_a_search_is_one_event_however_often_its_page_is_read(client, market):
    for _ in range(3):
        page = client.get(SHOP, {"brand": "bmw", "max_price": "35000", "fuel": "", "min_year": ""}).text
    event = Interaction.objects.get(kind="search", buyer__visitor_key=held(client)["guest"])
    assert event.query == {"makes": ["bmw"], "max_price": 35_000.0}
    assert set(shown(page)) <= {car.pk for car in market.bmws}


@pytest.mark.parametrize("words", ["bmw", "diesel saloons", "automatic under 32000", "octavia 2014", "bmw -diesel", ""])
def test_words_find_what_the_search_of_the_api_finds(words, client, market):
    api = Client(headers={"X-Visitor-Key": "a-guest-of-the-tests-1"})
    answer = api.get("/api/v1/cars/search", {"q": words, "ordering": "price", "page_size": 24}).json()
    assert answer["count"], "a question that finds nothing compares nothing"
    page = client.get(SHOP, {"q": words, "ordering": "price"}).text
    assert shown(page) == [car["id"] for car in answer["listings"]]
    queries = [event.query for event in Interaction.objects.filter(kind="search").order_by("pk")]
    assert len(queries) == (2 if words else 0)
    assert queries[1:] == queries[:-1]


def test_words_that_no_car_has_are_said(client, market):
    page = client.get(SHOP, {"q": "bmw quizzaciously"}).text
    assert "No car has the words “quizzaciously”" in page
    assert set(shown(page)) == {car.pk for car in market.bmws}


def test_an_empty_shop_does_not_ask_for_less_and_leads_those_who_may_import_to_it(client, market):
    """It advised a higher price where there was no car at all."""
    assert "Ask for less" in client.get(SHOP, {"brand": "bmw", "max_price": "1"}).text
    Listing.objects.update(status="withdrawn", ended_at=timezone.now())
    upload = reverse("admin:catalog_importrun_add")
    empty = client.get(SHOP).text
    assert "No car is for sale yet" in empty
    assert "Ask for less" not in empty
    assert upload not in empty
    client.force_login(UserFactory(operator=True))
    assert upload in client.get(SHOP).text


@pytest.mark.parametrize("ordering", [BEST, "price"])
def test_more_cars_are_offered_as_long_as_there_are_more(ordering, client, settings):
    settings.RECOMMENDATIONS_MAX_K = 50
    ListingFactory.create_batch(55)
    n_shown, query = [], {"ordering": ordering}
    while query is not None:
        page = client.get(SHOP, query).text
        n_shown.append(len(shown(page)))
        more = re.search(r'href="/shop/\?([^"]*)"[^>]*>Show more cars', page)
        query = QueryDict(more[1].replace("&amp;", "&")).dict() if more else None
        assert len(n_shown) < 5
    assert n_shown == [24, 48]


def test_a_search_is_saved_once(client, market):
    for _ in range(2):
        client.post(SEARCHES, {"back": "brand=bmw"})
    assert SavedSearch.objects.get().query == {"makes": ["bmw"]}
    assert "Saved: bmw" in client.get(SHOP).text
    client.post(SEARCHES, {"back": ""})
    assert SavedSearch.objects.count() == 1


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_every_order_shows_every_car_that_matches(ordering, client, market):
    page = client.get(SHOP, {"ordering": ordering, "brand": "bmw"}).text
    assert set(shown(page)) == {car.pk for car in market.bmws}


def test_john_is_john_and_a_new_visitor_is_another_one_each_time(client, market):
    john = UserFactory(email=DEMO_EMAIL)
    client.post(VISITOR, {"role": "john7"})
    client.post(ACT, {"act": f"like {market.bmws[0].pk} - 0", "back": ""})
    assert Interaction.objects.get(kind="like").buyer.user == john
    keys = set()
    for _ in range(2):
        client.post(VISITOR, {"role": "new"})
        client.post(ACT, {"act": f"contact {market.bmws[0].pk} - 0", "back": ""})
        keys.add(held(client)["newcomer"])
    assert set(Interaction.objects.filter(kind="contact").values_list("buyer__visitor_key", flat=True)) == keys
    assert len(keys) == 2


def test_outside_demo_mode_the_cookie_of_john_is_a_guest_s(client, market, settings):
    UserFactory(email=DEMO_EMAIL)
    client.post(VISITOR, {"role": "john7"})
    settings.DEMO_MODE = False
    client.force_login(UserFactory(operator=True))
    client.post(ACT, {"act": f"like {market.bmws[0].pk} - 0", "back": ""})
    assert Interaction.objects.get(kind="like").buyer.user is None


def test_a_forged_cookie_is_a_new_guest_s(client, market):
    client.cookies[COOKIE] = signing.dumps({"guest": "stolen", "role": "john7"}, salt="another")
    assert client.get(SHOP).status_code == 200
    assert held(client)["guest"].startswith("shop-")
    client.cookies[COOKIE] = signing.dumps({"guests": 1}, salt=SALT)
    assert client.get(SHOP).status_code == 200


def test_only_staff_who_may_change_listings_sell(client, market):
    listing = market.bmws[0]
    for looks_only in (None, user_of_role("Viewer")):
        if looks_only:
            client.force_login(looks_only)
        assert "sold " not in client.get(SHOP).text
        client.post(ACT, {"act": f"sold {listing.pk} - 0", "back": ""})
        listing.refresh_from_db()
        assert listing.status == "live"
    assert not AuditEntry.objects.exists()
    operator = UserFactory(operator=True)
    client.force_login(operator)
    assert f"sold {shown(client.get(SHOP).text)[0]} " in client.get(SHOP).text
    answer = client.post(ACT, {"act": f"sold {listing.pk} - 0", "back": ""}, headers=HTMX)
    listing.refresh_from_db()
    assert listing.status == "sold"
    assert listing.pk not in shown(answer.text)
    client.post(ACT, {"act": f"sold {listing.pk} - 0", "back": ""})  # refused, and no entry
    entry = AuditEntry.objects.get(model="catalog.listing")
    assert (entry.by, entry.object_id, entry.note) == (operator, str(listing.pk), "Marked as sold")
    assert (entry.before["status"], entry.after["status"]) == ("live", "sold")


def test_what_is_no_car_for_the_public_is_not_found(client, db):
    draft, item = ListingFactory(draft=True), ListingFactory(source="items")
    for listing_id in (draft.pk, item.pk, 0, 2**63, 10**30):
        assert client.get(f"{SHOP}cars/{listing_id}/").status_code == 404


def test_before_any_training_there_is_a_list_all_the_same(client, db):
    cars = {ListingFactory().pk for _ in range(3)}
    assert set(shown(client.get(SHOP).text)) == cars
    assert client.get(reverse("shop-car", args=[min(cars)])).status_code == 200


# --- Safety ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [ACT, VISITOR, SEARCHES])
def test_every_post_needs_the_token_of_its_page(address, db):
    assert Client(enforce_csrf_checks=True).post(address, {"act": "like 1 - 1"}).status_code == 403


def test_pages_hold_nothing_that_the_policy_forbids_and_are_kept_by_no_cache(client, market):
    for address in (SHOP, reverse("shop-car", args=[market.bmws[0].pk])):
        answer = client.get(address)
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)
        assert 'href="#main"' in answer.text
        assert '<main id="main"' in answer.text


@pytest.fixture
def visitors(db) -> list[Client]:
    ListingFactory(pk=1)
    operator = Client(raise_request_exception=False)
    operator.force_login(UserFactory(operator=True))
    return [Client(raise_request_exception=False), operator]


NAMES = (*FIELDS, "ordering", "page", "back", "shown", "act", "role", "list_id", "position", "open_car", "quiet", "lat")


def ask_all(client: Client, given: dict[str, str], headers: dict[str, str]) -> None:
    for address in (SHOP, f"{SHOP}cars/1/"):
        assert client.get(address, given, headers=headers).status_code < 500, (address, given)
    for address in (ACT, VISITOR, SEARCHES):
        sent = {"back": "brand=skoda", **given}
        assert client.post(address, sent, headers=headers).status_code < 500, (address, given)


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_no_nonsense_breaks_a_page_or_a_form(text, visitors):
    text = text.encode("utf-8", "replace").decode()
    ask_all(visitors[0], dict.fromkeys(NAMES, text), HTMX)
    ask_all(visitors[1], {"act": text, "back": text}, {})


@hypothesis_settings(
    deadline=None, max_examples=20, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(NAMES), text=st.one_of(st.text(max_size=60), st.sampled_from(NONSENSE)))
def test_no_text_at_all_breaks_a_page_or_a_form(name, text, visitors):
    ask_all(visitors[len(text) % 2], {name: text.encode("utf-8", "replace").decode()}, HTMX if len(text) % 3 else {})


def test_what_was_left_out_of_a_question_is_said(client, db):
    ListingFactory()
    page = client.get(SHOP, {"max_price": "cheap", "fuel": "steam", "ordering": BEST}).text
    assert "Price up to “cheap” was left out" in page
    assert "Fuel “steam” was left out" in page
    assert len(shown(page)) == 1


def test_only_a_list_of_ours_is_logged_as_served(client, market):
    client.get(SHOP)
    client.get(SHOP, {"ordering": "price"})
    served = ServedList.objects.get()
    assert served.buyer is None  # nothing is known of a visitor who only looks
    assert len(served.listing_ids) == 24


def test_the_page_of_a_car_says_the_manufacturers_colour_and_the_tax_of_its_price(client):
    car = ListingFactory(colour="red", manufacturer_colour="Tornado Red", vat="reclaimable")
    page = client.get(f"/shop/cars/{car.pk}/").content.decode()
    assert "Tornado Red" in page
    assert "Included, can be reclaimed" in page

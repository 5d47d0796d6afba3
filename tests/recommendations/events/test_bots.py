"""Buyers who are programs: found by whichever route they come, kept in the log, and left out of what is learned."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Buyer
from accounts.origins import crawler_in, origin_of
from accounts.services import (
    buyer_for_external_id,
    buyer_for_user,
    buyer_for_visitor,
    create_api_key,
    export_person,
    merge_guest,
)
from recommendations.buyers.context import recently_opened
from recommendations.buyers.refresh import refresh_preferences
from recommendations.events.bots import (
    MINUTE,
    Opened,
    count_left_out,
    decide_on_bot,
    first_burst,
    look_for_bots,
)
from recommendations.events.rows import read_events
from recommendations.listings.market_statistics import read_market_statistics
from recommendations.models import BotMark, Interaction, ServedList
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, SellerFactory, UserFactory

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"
LIMIT = 6  # cars a minute, in these tests
GUESTS = 4
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
ADDRESS = "93.184.216.34"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"


@pytest.fixture(autouse=True)
def _small_limits(settings):
    settings.BOT_CARS_PER_MINUTE, settings.BOT_GUESTS_PER_HOUR = LIMIT, GUESTS
    settings.FEED_NEEDS_KEY = False
    cache.empty()


@pytest.fixture
def cars():
    seller = SellerFactory()
    return [ListingFactory(seller=seller) for _ in range(LIMIT + 2)]


def visitor(key: str = "some-visitor", agent: str = BROWSER, address: str = ADDRESS) -> APIClient:
    client = APIClient(REMOTE_ADDR=address)
    client.credentials(HTTP_X_VISITOR_KEY=f"the-browser-of-{key}", HTTP_USER_AGENT=agent)
    return client


def system() -> APIClient:
    client = APIClient()
    secret = create_api_key(name="a garage", scopes=["read", "ingest"], created_by=None)[1]
    client.credentials(HTTP_X_API_KEY=secret, HTTP_USER_AGENT="python-requests/2.32")
    return client


def seconds_ago(seconds: float) -> str:
    return (timezone.now() - timedelta(seconds=seconds)).isoformat()


# --- Pace ------------------------------------------------------------------------------------------------------------
def post_one_by_one(cars, client) -> None:
    for car in cars:
        assert client.post(EVENTS, {"kind": "view", "listing_id": car.pk}).status_code == 201


def post_in_bulk(cars, client) -> None:
    events = [{"kind": "view", "listing_id": car.pk} for car in cars]
    assert client.post(EVENTS, {"events": events}).status_code == 201


def get_detail_pages(cars, client) -> None:
    for car in cars:
        assert client.get(f"/api/v1/cars/detail/{car.pk}").status_code == 200


OWN_ROUTES = [post_one_by_one, post_in_bulk, get_detail_pages]


@pytest.mark.parametrize("route", OWN_ROUTES)
@pytest.mark.parametrize("is_periodic", [True, False])
def test_more_cars_in_a_minute_than_people_open_is_a_bot_by_every_route(route, is_periodic: bool, cars):
    route(cars[: LIMIT + 1], visitor())
    buyer = Buyer.objects.get(visitor_key="the-browser-of-some-visitor")
    assert not BotMark.objects.exists(), "no answer waits for the decision"
    if is_periodic:
        assert look_for_bots() == 1
    else:
        refresh_preferences(buyer_id=buyer.pk)
    mark = BotMark.objects.get(buyer=buyer)
    assert (mark.is_bot, mark.reason, mark.is_by_operator) == (True, "burst", False)
    assert str(LIMIT) in mark.detail
    assert Interaction.objects.filter(buyer=buyer).count() == LIMIT + 1, "the log keeps them"


@pytest.mark.parametrize("route", OWN_ROUTES)
def test_a_fast_person_is_none_and_reloading_one_page_is_no_pace(route, cars):
    route(cars[:LIMIT], visitor())
    get_detail_pages([cars[0]] * (LIMIT + 3), visitor())
    refresh_preferences(buyer_id=Buyer.objects.get().pk)
    assert look_for_bots() == 0
    assert not BotMark.objects.exists()


def test_a_user_who_bursts_is_marked_as_a_guest_is(cars):
    user = UserFactory()
    client = APIClient()
    client.force_authenticate(user)
    post_in_bulk(cars, client)
    refresh_preferences(buyer_id=user.buyer.pk)
    assert user.buyer.bot_mark.reason == "burst"


def test_a_client_system_that_sends_at_once_what_happened_over_days_sends_no_bot(cars):
    client = system()
    at_once = [{"kind": "view", "buyer": "no time", "listing_id": car.pk} for car in cars]
    spread = [
        {"kind": "view", "buyer": "spread", "listing_id": car.pk, "occurred_at": seconds_ago(3600 + 30 * number)}
        for number, car in enumerate(cars)
    ]
    one_time = seconds_ago(7200)
    dated = [{"kind": "view", "buyer": "dated", "listing_id": car.pk, "occurred_at": one_time} for car in cars]
    assert client.post(EVENTS, {"events": [*at_once, *spread, *dated]}).status_code == 201
    for car in cars:
        assert client.post(EVENTS, {"kind": "view", "buyer": "singly", "listing_id": car.pk}).status_code == 201
    for buyer in Buyer.objects.all():
        refresh_preferences(buyer_id=buyer.pk)
    assert look_for_bots() == 0


def test_a_client_system_that_says_when_sends_a_bot_where_it_was_one(cars):
    burst = [
        {"kind": "view", "buyer": "a bot", "listing_id": car.pk, "occurred_at": seconds_ago(3600 + number)}
        for number, car in enumerate(cars)
    ]
    assert system().post(EVENTS, {"events": burst}).status_code == 201
    assert look_for_bots() == 1
    assert buyer_for_external_id("a bot").bot_mark.is_bot


def test_a_burst_on_the_feed_is_one_of_requests_and_a_rated_list_is_none():
    client = Client()
    items = [f"item-{number}" for number in range(8 * LIMIT)]

    def interact(user: str, some: list[str], at: float) -> None:
        body = {"user_id": user, "item_ids": some, "actions": ["like"] * len(some), "timestamp": at}
        assert client.post("/interact", body, content_type="application/json").status_code == 200

    now = timezone.now().timestamp()
    interact("rates a list", items, now - 100)
    for number, item in enumerate(items):
        interact("a bot", [item], now - 100 + number / 10)
        if number < 3 * LIMIT:
            interact("a person", [item], now - 100 + number)
    look_for_bots()
    assert list(BotMark.objects.values_list("buyer__external_id", flat=True)) == ["a bot"]


def test_a_burst_is_found_exactly_where_a_minute_holds_too_many_cars():
    rng = np.random.default_rng(7)
    n_found = 0
    for _ in range(300):
        n, limit = rng.integers(0, 40), int(rng.integers(1, 9))
        moments = np.sort(rng.integers(0, 2_000, n)) / 10
        events = [Opened(at, car) for at, car in zip(moments.tolist(), rng.integers(0, 12, n).tolist(), strict=True)]
        has_burst = any(
            len({other.listing_id for other in events if event.at <= other.at < event.at + MINUTE}) > limit
            for event in events
        )
        assert (first_burst(events, limit) is not None) == has_burst
        n_found += has_burst
    assert 50 < n_found < 250, "both happen"


def test_a_burst_is_said_to_begin_with_its_first_event():
    events = [Opened(0.0, 9), *(Opened(100.0 + number, number) for number in range(4))]
    assert first_burst(events, 3) == datetime.fromtimestamp(100, UTC)


def test_pace_is_not_looked_at_where_the_setting_says_so(settings, cars):
    settings.BOT_CARS_PER_MINUTE = 0
    post_in_bulk(cars, visitor())
    refresh_preferences(buyer_id=Buyer.objects.get().pk)
    assert look_for_bots() == 0


# --- No cookie, and those that say what they are ---------------------------------------------------------------------
@pytest.mark.parametrize("route", OWN_ROUTES)
def test_a_new_guest_with_every_request_is_a_bot(route, cars):
    for number in range(GUESTS + 1):
        route(cars[:1], visitor(f"guest-{number}", BROWSER))
        route(cars[:1], visitor(f"other-{number}", f"{BROWSER} {number}"))
    returning = visitor("returns", BROWSER)
    route(cars[:1], returning)
    route(cars[1:2], returning)
    assert look_for_bots() == GUESTS + 1
    marked = BotMark.objects.filter(reason="no_cookie").values_list("buyer__visitor_key", flat=True)
    assert sorted(marked) == [f"the-browser-of-guest-{number}" for number in range(GUESTS + 1)]
    assert look_for_bots() == 0, "each is marked once"


def test_a_guest_who_comes_back_under_the_same_key_keeps_a_cookie_after_all(cars):
    for number in range(GUESTS + 1):
        post_one_by_one(cars[:1], visitor(f"guest-{number}"))
    look_for_bots()
    post_one_by_one(cars[1:2], visitor("guest-0"))
    buyer = Buyer.objects.get(visitor_key="the-browser-of-guest-0")
    refresh_preferences(buyer_id=buyer.pk)
    assert not BotMark.objects.filter(buyer=buyer).exists()
    assert BotMark.objects.count() == GUESTS


def test_few_guests_of_one_address_are_people(cars):
    for number in range(GUESTS):
        post_one_by_one(cars[:1], visitor(f"guest-{number}"))
    assert look_for_bots() == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fd00::7", "::ffff:10.1.2.3", ""])
def test_all_guests_behind_a_proxy_of_our_own_have_one_address_and_are_people(cars, address):
    for number in range(GUESTS + 1):
        post_one_by_one(cars[:1], visitor(f"guest-{number}", address=address))
    assert look_for_bots() == 0


@pytest.mark.parametrize("address", [ADDRESS, "2606:2800:220:1::1", f"::ffff:{ADDRESS}"])
def test_guests_of_any_address_of_the_internet_are_counted(cars, address):
    for number in range(GUESTS + 1):
        post_one_by_one(cars[:1], visitor(f"guest-{number}", address=address))
    assert look_for_bots() == GUESTS + 1


def test_an_origin_names_no_address_changes_every_day_and_is_removed(cars, monkeypatch, settings):
    meta = {"REMOTE_ADDR": ADDRESS, "HTTP_USER_AGENT": BROWSER}
    today = origin_of(meta).digest
    assert today == origin_of(meta).digest
    assert len(today) == 32
    ours, settings.SECRET_KEY = settings.SECRET_KEY, "another-key-" * 4
    assert origin_of(meta).digest != today, "keyed: who has the addresses cannot look for theirs"
    settings.SECRET_KEY = ours
    later = timezone.now() + timedelta(days=1)
    monkeypatch.setattr("accounts.origins.timezone.now", lambda: later)
    assert origin_of(meta).digest != today
    monkeypatch.undo()
    post_one_by_one(cars[:1], visitor())
    assert Buyer.objects.get().origin
    Buyer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    look_for_bots()
    assert not Buyer.objects.get().origin


@pytest.mark.parametrize(
    ("agent", "word"),
    [
        (CRAWLER, "bot"),
        ("Mozilla/5.0 HeadlessChrome/131.0", "headless"),
        ("Mozilla/5.0 (compatible; Baiduspider/2.0)", "spider"),
        ("facebookexternalhit/1.1", "facebookexternalhit"),
        (BROWSER, ""),
        ("Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) Chrome/131.0", ""),
        ("python-requests/2.32", ""),
        ("", ""),
    ],
)
def test_a_program_declares_itself_by_a_word(agent: str, word: str):
    assert crawler_in(agent) == word


@pytest.mark.parametrize("route", OWN_ROUTES)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_declared_crawler_is_a_bot_from_its_first_event(route, is_known: bool, cars):
    if is_known:
        post_one_by_one(cars[:1], visitor())
    route(cars[1:2], visitor(agent=CRAWLER))
    buyer = Buyer.objects.get()
    refresh_preferences(buyer_id=buyer.pk)
    assert BotMark.objects.get().reason == "declared"


def test_the_agent_of_a_client_system_says_nothing_of_its_buyers(cars):
    client = system()
    client.credentials(**{**client._credentials, "HTTP_USER_AGENT": CRAWLER})
    assert client.post(EVENTS, {"kind": "view", "buyer": "b-1", "listing_id": cars[0].pk}).status_code == 201
    assert look_for_bots() == 0


# --- What a mark does ------------------------------------------------------------------------------------------------
def learned_from() -> set[int]:
    return set(read_events(timezone.now() - timedelta(days=400)).buyer_ids.tolist())


def demand() -> dict:
    return dict(read_market_statistics(int(timezone.now().timestamp()) + 60).demand)


def test_a_marked_buyer_is_left_out_and_counts_again_once_unmarked(cars):
    bot, person = BuyerFactory(external=True), BuyerFactory(external=True)
    for buyer, car in [(bot, cars[0]), (person, cars[1])]:
        InteractionFactory(buyer=buyer, listing=car, occurred_at=timezone.now())
    everyone, all_demand = learned_from(), demand()
    assert everyone == {bot.pk, person.pk}
    decide_on_bot(buyer=bot, is_bot=True, by=None)
    assert learned_from() == {person.pk}
    assert set(demand()) == {cars[1].pk}
    assert list(Interaction.objects.of_people().values_list("buyer", flat=True)) == [person.pk]
    assert count_left_out(timezone.now() - timedelta(days=1)) == (1, 1)
    decide_on_bot(buyer=bot, is_bot=False, by=None)
    assert learned_from() == everyone
    assert set(demand()) == set(all_demand)


@pytest.mark.parametrize("is_bot", [True, False])
def test_the_decision_of_an_operator_stands(is_bot: bool, cars):
    client = visitor(agent=CRAWLER)
    post_in_bulk(cars, client)
    buyer = Buyer.objects.get()
    decide_on_bot(buyer=buyer, is_bot=is_bot, by=UserFactory(operator=True))
    post_in_bulk(cars, client)
    refresh_preferences(buyer_id=buyer.pk)
    look_for_bots()
    mark = BotMark.objects.get()
    assert (mark.is_bot, mark.is_by_operator) == (is_bot, True)
    mark.decided_by.delete()
    look_for_bots()
    assert BotMark.objects.get().is_bot == is_bot, "also once the operator is gone"


def test_a_guest_who_logs_in_brings_the_mark_along_unless_it_was_for_keeping_no_cookie():
    for reason, stays in [("burst", True), ("operator", True), ("no_cookie", False)]:
        guest, account = buyer_for_visitor(f"guest-{reason}"), buyer_for_user(UserFactory())
        BotMark.objects.create(buyer=guest, reason=reason, is_by_operator=reason == "operator")
        merge_guest(guest=guest, into=account)
        assert BotMark.objects.filter(buyer=account).exists() is stays
        assert not BotMark.objects.filter(buyer=guest).exists()


def test_a_person_reads_in_their_export_that_they_were_taken_for_a_bot():
    buyer = BuyerFactory(external=True)
    decide_on_bot(buyer=buyer, is_bot=True, by=None, note="400 cars")
    [row] = export_person(buyer=buyer)["bot_marks"]
    assert (row["is_bot"], row["reason"], row["detail"]) == (True, "operator", "400 cars")


# --- In the admin ----------------------------------------------------------------------------------------------------
LIST = "admin:accounts_buyer_changelist"


@pytest.mark.parametrize(("name", "is_bot"), [("mark_as_bots", True), ("unmark_as_bots", False)])
def test_operators_decide_in_the_list_and_the_audit_log_says_so(operator: Client, name: str, is_bot: bool):
    buyer = BuyerFactory(external=True)
    operator.post(reverse(LIST), {"action": name, "_selected_action": [buyer.pk]})
    mark = BotMark.objects.get(buyer=buyer)
    assert (mark.is_bot, mark.is_by_operator, mark.decided_by.is_staff) == (is_bot, True, True)
    entry = AuditEntry.objects.get(model="accounts.buyer", object_id=str(buyer.pk))
    assert entry.after == {"is_bot": is_bot}


def test_the_list_and_the_page_show_who_is_left_out_and_why(operator: Client):
    bot, person = BuyerFactory(external=True), BuyerFactory(external=True)
    BotMark.objects.create(buyer=bot, reason="burst", detail="More than 40 cars")
    for value in ("bots", "burst"):
        listed = operator.get(reverse(LIST), {"bot": value}).content.decode()
        assert str(bot) in listed
        assert str(person) not in listed
    page = operator.get(reverse("admin:accounts_buyer_change", args=[bot.pk])).content.decode()
    assert "More than 40 cars" in page
    assert "the detector" in page


def test_a_viewer_decides_nothing(client: Client):
    person = UserFactory(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(person)
    buyer = BuyerFactory(external=True)
    client.post(reverse(LIST), {"action": "mark_as_bots", "_selected_action": [buyer.pk]})
    assert not BotMark.objects.exists()


# --- Occasions -------------------------------------------------------------------------------------------------------
def test_a_page_that_is_reloaded_takes_no_car_out_of_what_was_opened_lately(cars):
    buyer = BuyerFactory(external=True)
    start = timezone.now() - timedelta(hours=3)
    for number, car in enumerate([*cars[:3], *[cars[3]] * 60]):
        InteractionFactory(buyer=buyer, listing=car, occurred_at=start + timedelta(seconds=number))
    InteractionFactory(buyer=buyer, listing=cars[0], kind_id="contact", occurred_at=start + timedelta(minutes=5))
    opened = recently_opened(buyer)
    assert [car.listing_id for car in opened] == [cars[0].pk, cars[3].pk, cars[2].pk, cars[1].pk]
    assert opened[0].weight > opened[1].weight == 1.0


def test_a_page_read_and_the_view_posted_of_it_share_the_list_that_the_view_names(cars):
    buyer = BuyerFactory(external=True)
    moment = timezone.now() - timedelta(minutes=5)
    served = ServedList.objects.create(
        buyer=buyer, served_at=moment, listing_ids=[car.pk for car in cars], scores=[0.0] * len(cars),
        sources=["taste"] * len(cars),
    )  # fmt: skip
    InteractionFactory(buyer=buyer, listing=cars[2], occurred_at=moment)
    InteractionFactory(
        buyer=buyer, listing=cars[2], occurred_at=moment + timedelta(seconds=1), served_list=served, position=3
    )
    beside = read_events(moment - timedelta(hours=1)).shown_beside(30)
    assert sorted(set(beside.event_ids.tolist())) == sorted(Interaction.objects.values_list("pk", flat=True))
    assert set(beside.chosen_positions.tolist()) == {3}

"""From a change of a listing to the buyers of the saved searches that it matches, and to no one else."""

import json
from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import erase_person, export_person, merge_buyer
from catalog.models import Listing, ListingNews
from catalog.news import pass_on_news
from catalog.services import change_price, mark_sold, relist_listing
from recommendations.alerts import mail, sending
from recommendations.alerts.unsubscribing import unsubscribe_url
from recommendations.buyers.relations import Relation, add_seller, hide_listing
from recommendations.models import AlertMessage, AlertSettings, CarAlert, SavedSearch
from tests.factories import ApiKeyFactory, BuyerFactory, ListingFactory, SellerFactory, UserFactory
from tests.webhooks.receivers import Receiver, endpoint_at
from webhooks.delivery import deliver_to
from webhooks.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site(settings):
    settings.PUBLIC_URL, settings.ALERT_GAP_MINUTES, settings.ALERTS_PER_DAY = "https://cars.example.com", 0, 100
    settings.SENDS_EMAIL = False


@pytest.fixture
def endpoint():
    return endpoint_at("https://shop.example/hook", events=["listing.matched"])


@pytest.fixture
def buyer(endpoint):
    return looking_for(BuyerFactory(external=True), colours=["red"])


@pytest.fixture
def with_mail(settings):
    settings.SENDS_EMAIL = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def looking_for(buyer, **query):
    SavedSearch.objects.create(buyer=buyer, name=f"My {' '.join(query)}", query=query)
    return buyer


def red(**fields):
    return ListingFactory(colour="red", **fields)


def run(now=None):
    """What workers do: pass on the news, and send what waits."""
    pass_on_news()
    return sending.send_alerts(sending.buyers_waiting(), now or timezone.now())


def alerts():
    """The cars of each webhook, by listing id, in the order in which they were written."""
    bodies = [json.loads(message.body) for message in Message.objects.filter(kind="listing.matched")]
    ordered = sorted(bodies, key=lambda body: body["timestamp"])
    return [[car["listing"]["listing_id"] for car in body["data"]["cars"]] for body in ordered]


def test_a_new_car_reaches_the_buyer_by_a_signed_webhook(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    receiver = Receiver()
    endpoint = endpoint_at(receiver.url, events=["listing.matched"])
    buyer = looking_for(BuyerFactory(external=True), colours=["red"], max_price=20_000)
    other = looking_for(BuyerFactory(external=True), colours=["blue"])
    listing = red()
    assert run() == 1
    assert deliver_to(endpoint.pk) == 1
    receiver.stop()
    ((_, headers, body),) = receiver.received
    data = json.loads(body)["data"]
    assert data["buyer"] == {"buyer_id": buyer.pk, "external_id": buyer.external_id}
    (car,) = data["cars"]
    assert (car["listing"]["listing_id"], car["reason"]) == (listing.pk, "new")
    assert car["saved_search"]["name"] == "My colours max_price"
    assert data["unsubscribe_url"].startswith("https://cars.example.com/alerts/unsubscribe/")
    assert "webhook-signature" in headers
    assert not CarAlert.objects.filter(buyer=other).exists()


def test_the_tasks_hand_over_to_each_other_by_name(buyer, queued, django_capture_on_commit_callbacks):
    red()
    with django_capture_on_commit_callbacks(execute=True):
        pass_on_news()
    assert ("recommendations.send_alerts", [buyer.pk]) in queued


def test_a_cheaper_car_reaches_the_buyer_who_was_not_sent_it_before(endpoint):
    listing = red(price=12_000)
    run()
    buyer = looking_for(BuyerFactory(external=True), max_price=10_000)
    change_price(listing=listing, price=11_000)
    assert run() == 0
    change_price(listing=listing, price=9_000)
    assert run() == 1
    assert CarAlert.objects.get(buyer=buyer).reason == "cheaper"


def test_one_car_is_sent_once_whatever_advertises_it_and_however_many_searches_match(buyer):
    looking_for(buyer, bodies=["hatchback"])
    first = red(vin="WVWZZZ1JZXW000001")
    red(vin="WVWZZZ1JZXW000001", source="other")
    assert run() == 1
    assert sum(map(len, alerts())) == 1
    mark_sold(listing=first)
    relist_listing(listing=first)
    first.title = "Another title"
    first.save()
    assert run() == 0


def test_a_car_that_was_sent_is_sent_again_when_it_is_cheaper_than_then(buyer):
    listing = red(price=10_000)
    assert run() == 1
    change_price(listing=listing, price=10_500)
    change_price(listing=listing, price=10_200)  # a drop, to more than what the buyer knows
    assert run() == 0
    change_price(listing=listing, price=9_900)
    assert run() == 1
    assert [car["reason"] for car in json.loads(Message.objects.latest("created_at").body)["data"]["cars"]] == [
        "cheaper"
    ]


@pytest.mark.parametrize(
    "fate",
    [
        "hidden", "blocked seller", "own seller", "sold", "withdrawn", "reserved", "too expensive now",
        "search changed", "search removed", "search without alerts", "unsubscribed", "opted out", "merged away",
    ],
)  # fmt: skip
def test_what_changes_between_the_find_and_the_message_counts(buyer, fate):
    seller = SellerFactory(external_id="garage/77")
    listing = red(seller=seller, price=10_000)
    search = SavedSearch.objects.get()
    search.query = {"colours": ["red"], "max_price": 11_000}
    search.save()
    pass_on_news()
    assert CarAlert.objects.get().status == "waiting"
    now = timezone.now()
    changes = {
        "hidden": lambda: hide_listing(buyer=buyer, listing=listing),
        "blocked seller": lambda: add_seller(buyer=buyer, relation=Relation.BLOCKED, seller="garage/77"),
        "own seller": lambda: add_seller(buyer=buyer, relation=Relation.OWN, seller="garage/77"),
        "sold": lambda: mark_sold(listing=listing),
        "withdrawn": lambda: Listing.objects.update(status="withdrawn", ended_at=now),
        "reserved": lambda: Listing.objects.update(status="reserved"),
        "too expensive now": lambda: change_price(listing=listing, price=12_000),
        "search changed": lambda: SavedSearch.objects.update(query={"colours": ["blue"]}, filters=None),
        "search removed": lambda: search.delete(),
        "search without alerts": lambda: SavedSearch.objects.update(is_alerting=False),
        "unsubscribed": lambda: AlertSettings.objects.create(buyer=buyer, is_enabled=False),
        "opted out": lambda: type(buyer).objects.filter(pk=buyer.pk).update(is_personalised=False),
        "merged away": lambda: type(buyer).objects.filter(pk=buyer.pk).update(merged_into=BuyerFactory()),
    }
    changes[fate]()
    assert sending.send_alerts([buyer.pk], now) == 0
    assert not Message.objects.filter(kind="listing.matched").exists()
    assert not CarAlert.objects.filter(status="waiting").exists()


def test_an_erased_buyer_gets_nothing_and_leaves_nothing(buyer):
    red()
    run()
    red()
    pass_on_news()
    erase_person(buyer=buyer)
    assert sending.send_alerts([buyer.pk], timezone.now()) == 0
    assert not Message.objects.exists()
    assert not CarAlert.objects.exists()


def test_the_cars_of_one_message_are_ranked_by_preference_and_the_rest_is_passed_over(buyer, settings, monkeypatch):
    settings.ALERT_CARS = 2
    cars = [red() for _ in range(4)]
    liked = {cars[2].pk: 3.0, cars[0].pk: 2.0, cars[3].pk: 1.0, cars[1].pk: 0.0}
    monkeypatch.setattr(sending, "scores_for", lambda ids, who: {key: liked[key] for key in ids})
    assert run() == 1
    assert alerts() == [[cars[2].pk, cars[0].pk]]
    assert sorted(CarAlert.objects.values_list("status", flat=True)) == ["passed_over", "passed_over", "sent", "sent"]
    assert run() == 0


def test_cars_that_come_within_the_gap_go_together(buyer, settings):
    settings.ALERT_GAP_MINUTES = 15
    first, now = red(), timezone.now()
    assert run(now) == 1
    others = {red().pk, red().pk}
    assert run(now + timedelta(minutes=5)) == 0
    assert run(now + timedelta(minutes=16)) == 1
    assert [set(cars) for cars in alerts()] == [{first.pk}, others]


def test_caps_and_quiet_hours_hold_messages_back_and_lose_none(buyer, settings):
    settings.ALERTS_PER_DAY = 1
    now = timezone.now()
    red()
    assert run(now) == 1
    red()
    assert run(now + timedelta(hours=23)) == 0
    assert run(now + timedelta(hours=25)) == 1
    hour = (now + timedelta(hours=50)).hour
    AlertSettings.objects.create(buyer=buyer, quiet_from=hour, quiet_until=(hour + 1) % 24, per_day=9)
    red()
    assert run(now + timedelta(hours=50)) == 0
    assert run(now + timedelta(hours=51)) == 1


def test_a_daily_buyer_gets_one_message_a_day(buyer):
    AlertSettings.objects.create(buyer=buyer, frequency="daily", time_zone="UTC")
    noon = timezone.now().replace(hour=12)
    cars = {red().pk, red().pk}
    assert run(noon) == 1
    late = {red().pk}
    assert run(noon + timedelta(hours=6)) == 0
    assert run(noon + timedelta(hours=21)) == 1
    assert [set(found) for found in alerts()] == [cars, late]


def test_without_a_way_out_nothing_is_noted(settings):
    looking_for(BuyerFactory(external=True), colours=["red"])
    red()
    assert run() == 0
    assert not CarAlert.objects.exists()
    assert not ListingNews.objects.exists()


def test_a_failing_search_holds_up_neither_webhooks_nor_the_queue(buyer, monkeypatch):
    endpoint_at("https://other.example/hook", events=["listing.published"], name="Other")
    monkeypatch.setattr("recommendations.alerts.matching.CONDITIONS", ["1 / 0 = 1"])
    red()
    assert run() == 0
    assert not ListingNews.objects.exists()
    assert Message.objects.get().kind == "listing.published"


# --- E-mail ----------------------------------------------------------------------------------------------------------
def test_an_account_gets_an_e_mail_that_unsubscribes_by_one_click(with_mail, client):
    buyer = looking_for(BuyerFactory(), colours=["red"])
    listing = red(title="A red\ncar", url="https://example.com/car", price=12_345)
    assert run() == 1
    message = AlertMessage.objects.get()
    assert mail.mail_alert(str(message.pk), timezone.now())
    assert not mail.mail_alert(str(message.pk), timezone.now())
    (sent,) = outbox.outbox
    assert sent.to == [buyer.user.email]
    assert "A red car, £12,345" in sent.body
    assert listing.url in sent.body
    url = sent.extra_headers["List-Unsubscribe"].strip("<>")
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = url.removeprefix("https://cars.example.com")
    assert client.get(path).status_code == 200
    assert not AlertSettings.objects.filter(buyer=buyer, is_enabled=False).exists()  # a look ends nothing
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert AlertSettings.objects.get(buyer=buyer).is_enabled is False
    red()
    assert run() == 0


def test_an_e_mail_that_fails_is_tried_again_and_given_up(with_mail, monkeypatch):
    looking_for(BuyerFactory(), colours=["red"])
    red()
    run()
    message, now = AlertMessage.objects.get(), timezone.now()
    monkeypatch.setattr("django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("away")))
    for attempt in range(1, mail.ATTEMPTS + 1):
        assert not mail.mail_alert(str(message.pk), now + timedelta(days=attempt))
    message.refresh_from_db()
    assert (message.mail, message.mail_attempts, message.mail_error) == ("failed", mail.ATTEMPTS, "away")


def test_an_e_mail_says_nothing_of_a_car_that_was_sold_meanwhile(with_mail):
    looking_for(BuyerFactory(), colours=["red"])
    listing = red()
    run()
    mark_sold(listing=listing)
    assert not mail.mail_alert(str(AlertMessage.objects.get().pk), timezone.now())
    assert outbox.outbox == []


@pytest.mark.parametrize("missing", ["PUBLIC_URL", "account", "open account"])
def test_no_e_mail_without_an_address_or_a_link_that_leads_back(with_mail, settings, missing):
    buyer = BuyerFactory(external=True) if missing == "account" else BuyerFactory()
    looking_for(buyer, colours=["red"])
    if missing == "PUBLIC_URL":
        settings.PUBLIC_URL = ""
    if missing == "open account":
        buyer.user.is_active = False
        buyer.user.save()
    red()
    assert run() == 0


def test_an_e_mail_is_in_the_language_of_the_buyer(with_mail):
    looking_for(BuyerFactory(locale="de-AT"), colours=["red"])
    red()
    run()
    mail.mail_alert(str(AlertMessage.objects.get().pk), timezone.now())
    assert outbox.outbox[0].subject == "1 Auto für Ihre gespeicherten Suchen"


# --- Unsubscribing ---------------------------------------------------------------------------------------------------
def path_of(url):
    return url.removeprefix("https://cars.example.com")


def test_a_link_of_one_search_ends_that_search_alone(buyer, client):
    other = SavedSearch.objects.create(buyer=buyer, name="Other", query={"bodies": ["suv"]})
    search = SavedSearch.objects.exclude(pk=other.pk).get()
    assert client.post(path_of(unsubscribe_url(buyer, search.pk))).status_code == 200
    assert dict(SavedSearch.objects.values_list("pk", "is_alerting")) == {search.pk: False, other.pk: True}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("change", [lambda url: url + "x", lambda url: url[:-3], lambda url: url.replace("/un", "/Un")])
def test_a_link_that_was_changed_ends_nothing(buyer, client, method, change):
    assert getattr(client, method)(change(path_of(unsubscribe_url(buyer)))).status_code == 404
    assert not AlertSettings.objects.exists()


def test_a_link_works_without_a_csrf_cookie_and_holds_no_name(buyer):
    from django.test import Client

    page = Client(enforce_csrf_checks=True).post(path_of(unsubscribe_url(buyer)))
    assert page.status_code == 200
    assert buyer.external_id not in page.content.decode()


# --- Two buyers are one, and what is known of a person ---------------------------------------------------------------
def test_a_merge_takes_along_what_was_sent_and_who_unsubscribed(endpoint):
    guest, into = BuyerFactory(guest=True), BuyerFactory(external=True)
    looking_for(guest, colours=["red"])
    red()
    assert run() == 1
    AlertSettings.objects.create(buyer=guest, is_enabled=False)
    AlertSettings.objects.create(buyer=into)
    merge_buyer(other=guest, into=into)
    assert CarAlert.objects.get().buyer == into
    assert AlertSettings.objects.get().is_enabled is False
    assert Message.objects.get().about_buyer == into.pk


def test_an_export_has_the_alerts(buyer):
    listing = red()
    run()
    exported = export_person(buyer=buyer)
    assert [(row["listing_id"], row["status"]) for row in exported["alerts"]] == [(listing.pk, "sent")]


# --- The API ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def caller(client):
    ApiKeyFactory(secret="key", scopes=[ApiKey.Scope.INGEST])
    return lambda method, route, *args, buyer="customer-1", **data: getattr(client, method)(
        reverse(route, args=args) + f"?buyer={buyer}",
        **({"data": data, "content_type": "application/json"} if method in ("post", "patch") else {}),
        headers={"X-Api-Key": "key"},
    )


def test_a_client_system_saves_searches_for_its_customers(caller):
    made = caller("post", "saved-searches", name="Estates", query={"body": "Kombi", "make": "vw", "max_price": 9000})
    assert made.status_code == 201
    stored = made.json()
    assert stored["query"] == {"makes": ["volkswagen"], "bodies": ["estate"], "max_price": 9000.0}
    assert (
        caller("post", "saved-searches", query={"body": "estate", "brand": "VW", "max_price": 9000}).status_code == 200
    )
    assert [each["id"] for each in caller("get", "saved-searches").json()["searches"]] == [stored["id"]]
    changed = caller("patch", "saved-search", stored["id"], alerts=False, query={"colour": "red"})
    assert (changed.json()["alerts"], changed.json()["query"]) == (False, {"colours": ["red"]})
    assert SavedSearch.objects.get().filters == {"colours": ["red"]}
    assert caller("get", "saved-search", stored["id"], buyer="customer-2").status_code == 404
    assert caller("delete", "saved-search", stored["id"], buyer="customer-2").status_code == 404
    assert caller("delete", "saved-search", stored["id"]).status_code == 204
    assert caller("get", "saved-searches", buyer="unknown").json() == {"searches": []}


@pytest.mark.parametrize(
    "query", [{}, {"wings": 2}, {"fuel": "water"}, {"max_price": "cheap"}, "red", None, {"lat": 53.8}]
)
def test_a_search_that_cannot_be_asked_is_not_saved(caller, query):
    assert caller("post", "saved-searches", query=query).status_code == 400
    assert not SavedSearch.objects.exists()


def test_settings_of_alerts_are_changed_one_by_one(caller):
    assert caller("get", "alert-settings").json()["is_enabled"] is True
    changed = caller("patch", "alert-settings", quiet_from=22, quiet_until=7, time_zone="Europe/Berlin")
    assert changed.json() == {
        "is_enabled": True, "frequency": "instant", "per_day": None, "time_zone": "Europe/Berlin", "quiet_from": 22,
        "quiet_until": 7,
    }  # fmt: skip
    assert caller("patch", "alert-settings", is_enabled=False).json()["quiet_from"] == 22


@pytest.mark.parametrize(
    "given",
    [
        {"quiet_from": 22}, {"quiet_from": 22, "quiet_until": None}, {"quiet_from": 24, "quiet_until": 1},
        {"time_zone": "Mars"}, {"frequency": "hourly"}, {"per_day": 0}, {"volume": 3}, {"is_enabled": None},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(caller, given):
    assert caller("patch", "alert-settings", **given).status_code == 400
    assert not AlertSettings.objects.exists()


def test_a_user_saves_searches_of_their_own_and_a_visitor_key_is_no_account(client):
    query = {"query": {"colour": "red"}}
    user = UserFactory()
    client.force_login(user)
    assert client.post(reverse("saved-searches"), query, content_type="application/json").status_code == 201
    assert SavedSearch.objects.get().buyer.user == user
    client.logout()
    guest = {"X-Visitor-Key": "a-visitor-key-of-letters"}
    answer = client.post(reverse("saved-searches"), query, content_type="application/json", headers=guest)
    assert answer.status_code in (401, 403)

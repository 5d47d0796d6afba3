"""From the outbox to a server that answers, fails, hangs, redirects or is away, and what becomes of each message."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests.webhooks.receivers import Receiver, endpoint_at, hang
from web.posting import Answer
from web.seals import unseal
from webhooks import delivery
from webhooks.models import Delivery, Endpoint, Message
from webhooks.publishing import Event, forget_buyers, publish, publish_test
from webhooks.signing import signature

pytestmark = pytest.mark.django_db
SOLD = Event(kind="listing.sold", data={"listing": {"listing_id": 1, "name": "Škoda “Octavia”"}})


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES, settings.WEBHOOK_TIMEOUT_SECONDS = True, 1


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.stop()


def waiting(endpoint, **fields):
    return endpoint.deliveries.filter(status="waiting", **fields)


def make_due():
    Delivery.objects.update(next_attempt_at=timezone.now())
    Endpoint.objects.update(paused_until=None)


def test_an_event_is_written_for_those_who_ask_for_it(queued, django_capture_on_commit_callbacks):
    one, other = endpoint_at("https://a.example/", name="one"), endpoint_at("https://b.example/", name="other")
    endpoint_at("https://c.example/", events=["price.dropped"], name="asks for another")
    endpoint_at("https://d.example/", is_enabled=False, name="off")
    with django_capture_on_commit_callbacks(execute=True):
        publish([SOLD, Event(kind="version.promoted", data={})])
    assert {each.endpoint_id for each in Delivery.objects.all()} == {one.pk, other.pk}
    assert Message.objects.count() == 1
    assert queued == [("webhooks.deliver", one.pk), ("webhooks.deliver", other.pk)]


def test_an_event_of_a_change_that_is_rolled_back_is_not_written():
    endpoint_at("https://a.example/")
    with transaction.atomic():
        publish([SOLD])
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_what_arrives_is_signed_and_can_be_verified(receiver):
    endpoint = endpoint_at(receiver.url)
    (message,) = publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 1
    ((_, headers, body),) = receiver.received
    assert json.loads(body) == {
        "id": message.pk, "type": "listing.sold", "timestamp": SOLD.at.isoformat(), "data": SOLD.data
    }  # fmt: skip
    assert headers["webhook-id"] == message.pk
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["webhook-signature"] == signature(
        secret=unseal(endpoint.sealed_secret), message_id=message.pk,
        timestamp=int(headers["webhook-timestamp"]), body=body,
    )  # fmt: skip
    done = Delivery.objects.get()
    assert (done.status, done.attempts, done.last_status) == ("delivered", 1, 200)


def test_messages_arrive_in_the_order_in_which_they_were_written(receiver):
    endpoint = endpoint_at(receiver.url)
    messages = [publish([SOLD])[0].pk for _ in range(4)]
    assert delivery.deliver_to(endpoint.pk) == 4
    assert [json.loads(body)["id"] for _, _, body in receiver.received] == messages


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_tried_again_later_and_nothing_is_followed(receiver, status):
    receiver.answers = [lambda handler: handler.reply(status, {"Location": receiver.url}), 204]
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 0
    failed = Delivery.objects.get()
    assert (failed.status, failed.attempts, failed.last_status) == ("waiting", 1, status)
    assert timezone.now() < failed.next_attempt_at < timezone.now() + timedelta(seconds=10)
    make_due()
    assert delivery.deliver_to(endpoint.pk) == 1
    assert len({headers["webhook-id"] for _, headers, _ in receiver.received}) == 1
    assert len({body for _, _, body in receiver.received}) == 1


def test_waits_grow_and_are_spread():
    waits = [[delivery.wait_before(attempt).total_seconds() for _ in range(50)] for attempt in range(1, 12)]
    for attempt, found in enumerate(waits, 1):
        middle = min(5 * 3 ** (attempt - 1), 6 * 3600)
        assert all(0.75 * middle <= wait <= 1.25 * middle for wait in found)
        assert len(set(found)) > 40


def test_one_message_that_is_refused_does_not_hold_up_the_others(receiver):
    receiver.answers = [500, 200]
    endpoint = endpoint_at(receiver.url)
    for _ in range(3):
        publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 2
    assert waiting(endpoint, attempts=1).count() == 1


def test_after_its_attempts_a_message_is_a_dead_letter_and_is_replayed(
    receiver, settings, queued, django_capture_on_commit_callbacks
):
    settings.WEBHOOK_ATTEMPTS = 3
    receiver.answers = [500, 500, 500, 200]
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    for _ in range(5):
        make_due()
        delivery.deliver_to(endpoint.pk)
    dead = Delivery.objects.get()
    assert (dead.status, dead.attempts, len(receiver.received)) == ("dead", 3, 3)
    assert "500: thanks" in dead.last_error
    with django_capture_on_commit_callbacks(execute=True):
        delivery.replay(dead)
    assert queued == [("webhooks.deliver", endpoint.pk)]
    assert delivery.deliver_to(endpoint.pk) == 1
    assert len({body for _, _, body in receiver.received}) == 1


def test_an_endpoint_that_hangs_is_paused_and_what_is_due_behind_it_counts_the_attempt(receiver, settings):
    settings.WEBHOOK_TIMEOUT_SECONDS = 0.2
    receiver.answers = [hang]
    endpoint = endpoint_at(receiver.url)
    for _ in range(5):
        publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 0
    assert len(receiver.received) == 1
    assert waiting(endpoint, attempts=1).count() == 5
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.busy_until) == (1, None)
    assert endpoint.paused_until > timezone.now()
    publish([SOLD])  # waits for the end of the pause
    assert delivery.deliver_to(endpoint.pk) == 0
    assert len(receiver.received) == 1


def test_what_waits_behind_an_endpoint_that_is_away_becomes_dead_no_later_than_by_itself(receiver, settings):
    settings.WEBHOOK_ATTEMPTS = 3
    receiver.stop()
    endpoint = endpoint_at(receiver.url)
    for _ in range(4):
        publish([SOLD])
    for _ in range(3):
        make_due()
        delivery.deliver_to(endpoint.pk)
    assert set(Delivery.objects.values_list("status", "attempts")) == {("dead", 3)}


def test_an_endpoint_that_answers_again_is_paused_no_more(receiver):
    endpoint = endpoint_at(receiver.url, failures=4, paused_until=timezone.now() - timedelta(seconds=1))
    publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 1
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.paused_until) == (0, None)


def test_an_endpoint_that_is_gone_is_switched_off(receiver):
    receiver.answers = [410]
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    publish([SOLD])
    delivery.deliver_to(endpoint.pk)
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    assert "410" in endpoint.ended_because
    assert sorted(endpoint.deliveries.values_list("status", flat=True)) == ["dead", "waiting"]
    assert len(receiver.received) == 1


def test_an_endpoint_that_is_switched_off_keeps_what_waits(receiver):
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    Endpoint.objects.update(is_enabled=False)
    assert delivery.deliver_to(endpoint.pk) == 0
    assert delivery.outbox_state(timezone.now()).oldest_seconds == 0
    Endpoint.objects.update(is_enabled=True)
    assert delivery.deliver_to(endpoint.pk) == 1


def test_an_endpoint_says_when_it_wants_to_be_asked_again(receiver):
    receiver.answers = [lambda handler: handler.reply(503, {"Retry-After": "600"})]
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    delivery.deliver_to(endpoint.pk)
    wait = Delivery.objects.get().next_attempt_at - timezone.now()
    assert timedelta(seconds=590) < wait <= timedelta(seconds=600)


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("", None), ("soon", None), ("-5", None), ("60", 60), ("0", 0), ("9" * 30, None), ("999999", 3600),
        ("Sun, 29 Nov 2026 12:00:30 GMT", 30), ("Sun, 29 Nov 2020 12:00:30 GMT", 0),
        ("Sun, 29 Nov 2026 12:00:30", None),
    ],
)  # fmt: skip
def test_any_wish_for_a_later_time_is_bounded(wish, seconds):
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    at = delivery.wished_time(Answer(503, "", wish), now)
    assert at == (None if seconds is None else now + timedelta(seconds=seconds))


def test_another_worker_that_has_the_endpoint_goes_on_with_it_and_a_dead_one_loses_it(receiver):
    endpoint = endpoint_at(receiver.url, busy_until=timezone.now() + timedelta(seconds=60))
    publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 0
    Endpoint.objects.update(busy_until=timezone.now() - timedelta(seconds=1))
    assert delivery.deliver_to(endpoint.pk) == 1


def test_a_worker_that_dies_within_an_attempt_leaves_it_to_be_repeated(receiver, monkeypatch):
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "post", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            delivery.deliver_to(endpoint.pk)
    assert waiting(endpoint, attempts=1).exists()
    make_due()
    assert delivery.deliver_to(endpoint.pk) == 1


def test_beat_enqueues_what_is_due_and_nothing_else(queued):
    due = endpoint_at("https://a.example/", name="due")
    endpoint_at("https://b.example/", name="nothing to send", events=["price.dropped"])
    endpoint_at("https://c.example/", name="paused", paused_until=timezone.now() + timedelta(minutes=1))
    publish([SOLD])
    assert delivery.deliver_due() == 1
    assert queued == [("webhooks.deliver", due.pk)]


def test_private_addresses_are_not_posted_to_unless_the_setting_says_so(receiver, settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    endpoint = endpoint_at(receiver.url.replace("http:", "https:"))
    publish([SOLD])
    assert delivery.deliver_to(endpoint.pk) == 0
    assert "WEBHOOK_PRIVATE_ADDRESSES" in Delivery.objects.get().last_error
    assert not receiver.received


def test_a_new_secret_signs_beside_the_one_before_for_a_day(receiver):
    endpoint = endpoint_at(receiver.url)
    first = unseal(endpoint.sealed_secret)
    second = delivery.give_secret(endpoint)
    endpoint.save()
    now = timezone.now()
    assert delivery.secrets_of(endpoint, now) == [second, first]
    assert delivery.secrets_of(endpoint, now + timedelta(hours=25)) == [second]


def test_nothing_goes_out_unsigned(receiver, settings):
    endpoint = endpoint_at(receiver.url)
    publish([SOLD])
    settings.SECRET_KEY = "another key of the site, of enough characters"
    assert delivery.deliver_to(endpoint.pk) == 0
    assert not receiver.received
    assert "SECRET_KEY" in Delivery.objects.get().last_error


def test_what_is_about_an_erased_buyer_goes_whether_it_was_delivered_or_not():
    endpoint_at("https://a.example/", events=["listing.matched"])
    publish([Event(kind="listing.matched", data={}, about_buyer=each) for each in (1, 1, 2)])
    assert forget_buyers([1]) == 2
    assert list(Message.objects.values_list("about_buyer", flat=True)) == [2]
    assert Delivery.objects.count() == 1


def test_messages_are_kept_for_their_days(settings):
    settings.WEBHOOK_DAYS_KEPT = 14
    endpoint = endpoint_at("https://a.example/")
    Message.objects.filter(pk=publish_test(endpoint).pk).update(created_at=timezone.now() - timedelta(days=15))
    kept = publish_test(endpoint)
    assert delivery.sweep(timezone.now()) == 1
    assert list(Message.objects.all()) == [kept]


def test_the_outbox_says_how_it_stands():
    endpoint = endpoint_at("https://a.example/")
    assert delivery.outbox_state(timezone.now()) == delivery.OutboxState(0, 0, 0.0)
    publish_test(endpoint)
    publish_test(endpoint).deliveries.update(status="dead")
    state = delivery.outbox_state(timezone.now() + timedelta(seconds=60))
    assert (state.n_waiting, state.n_dead) == (1, 1)
    assert 59 < state.oldest_seconds < 70

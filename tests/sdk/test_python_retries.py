"""When a question is asked again, how long a client waits, and how a message of a webhook is checked."""

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt import (
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NoAnswer,
    NotAuthenticated,
    NotFound,
    Retries,
    Throttled,
    TooLarge,
    Unavailable,
    WebhookRefused,
    core,
    verify,
)
from forecourt.errors import error_of
from webhooks.signing import new_secret, signed_headers

BY_STATUS = {
    400: Invalid, 401: NotAuthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge, 422: Invalid,
    429: Throttled, 500: ApiError, 502: Unavailable, 503: Unavailable, 504: Unavailable, 302: ApiError, 418: ApiError,
}  # fmt: skip
PASSING = {429, 502, 503, 504}


@pytest.mark.parametrize("status", BY_STATUS)
def test_what_may_pass_is_asked_again_and_the_rest_is_not(connect, wire, status):
    wire.faults = [status] * 10
    with pytest.raises(BY_STATUS[status]) as refusal:
        connect().search.cars()
    assert len(wire.requests) == (3 if status in PASSING else 1)
    assert (refusal.value.status, refusal.value.code, refusal.value.fields) == (status, "error", {})
    assert "a proxy" in refusal.value.message


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"), 503]
)
def test_one_fault_is_not_noticed(forecourt, wire, waits, fault):
    wire.faults = [fault]
    assert forecourt.search.cars()["count"] == 0
    assert len(waits) == 1


def test_a_site_that_is_never_there_is_no_answer(connect, wire):
    wire.faults = [httpx.ConnectError("refused")] * 3
    with pytest.raises(NoAnswer, match=r"/cars/search: refused"):
        connect().search.cars()


def test_the_waits_grow_and_differ_by_chance(connect, wire, waits):
    wire.faults = [503] * 10
    with pytest.raises(Unavailable):
        connect(retries=Retries(attempts=10, first_seconds=1, longest_seconds=8)).search.cars()
    longest = [1, 2, 4, 8, 8, 8, 8, 8, 8]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    assert len(set(waits)) == 9


@pytest.mark.parametrize("status", sorted(PASSING))
@pytest.mark.parametrize("as_date", [False, True])
def test_a_client_waits_as_long_as_it_is_asked_to(forecourt, wire, waits, status, as_date):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    wire.faults = [(status, {"Retry-After": later if as_date else "20"})]
    forecourt.search.cars()
    assert 18 <= waits[0] <= 20


def test_a_client_that_is_asked_to_wait_too_long_says_so_at_once(connect, wire, waits):
    wire.faults = [(429, {"Retry-After": "3600"})]
    with pytest.raises(Throttled) as refusal:
        connect().search.cars()
    assert (refusal.value.retry_after, waits) == (3600, [])


@pytest.mark.parametrize("said", ["", "soon", "-1", "1e9", "٣", "Tue"])
def test_a_wait_that_cannot_be_read_is_none(said):
    assert core.retry_after_of(httpx.Response(503, headers=[(b"Retry-After", said.encode())])) is None


def test_a_removal_whose_answer_was_lost_is_done(forecourt, wire):
    saved = forecourt.saved_searches.save(buyer="42", query={"body": "estate"})
    wire.lost = [httpx.ReadTimeout("too late")]
    forecourt.saved_searches.delete(saved["id"], buyer="42")
    assert forecourt.saved_searches.all(buyer="42") == []


def test_every_question_with_an_id_is_sent_as_it_is(wire, forecourt):
    for wrong in ("", ".", ".."):
        with pytest.raises(ValueError, match="cannot be an id"):
            forecourt.buyers.get(wrong)
    assert wire.requests == []


@pytest.mark.parametrize("body", [{"price": float("nan")}, {"occurred_at": datetime(2026, 1, 1)}, {"x": object()}])
def test_what_has_no_meaning_is_not_sent(body):
    with pytest.raises((ValueError, TypeError)):
        core.json_of(body)


def test_an_error_is_copied_whole_as_between_processes():
    error = error_of(409, '{"error": {"code": "conflict", "message": "no", "fields": {"a": ["b"]}}}', retry_after=2.0)
    again = copy.deepcopy(error)
    assert (type(again), again.__dict__, str(again)) == (Conflict, error.__dict__, "409 conflict: no")


# --- Webhooks --------------------------------------------------------------------------------------------------------
SECRET, OTHER = new_secret(), new_secret()
BODY = '{"id": "msg_1", "type": "listing.sold", "timestamp": "2026-11-29T18:04:05+00:00", "data": {"x": "ü"}}'
SENT = datetime(2026, 11, 29, tzinfo=UTC).timestamp()


def headers(*secrets: str, body: str = BODY, timestamp: float = SENT) -> dict[str, str]:
    return signed_headers(secrets_in_use=list(secrets), message_id="msg_1", timestamp=int(timestamp), body=body)


@pytest.mark.parametrize("secret", [SECRET, [OTHER, SECRET], [SECRET]], ids=["one", "another_first", "alone"])
@pytest.mark.parametrize("used", [[SECRET], [OTHER, SECRET], [SECRET, OTHER]])
@pytest.mark.parametrize("write", [str, str.title, str.upper])
def test_a_message_of_the_site_is_known(secret, used, write):
    sent = {write(name): value for name, value in headers(*used).items()}
    for body in (BODY, BODY.encode()):
        assert verify(secret=secret, headers=sent, body=body, now=SENT)["data"] == {"x": "ü"}


@pytest.mark.parametrize(
    ("sent", "body", "now"),
    [
        (headers(OTHER), BODY, SENT),
        (headers(SECRET), BODY + " ", SENT),
        (headers(SECRET), BODY, SENT + 301),
        (headers(SECRET), BODY, SENT - 301),
        (headers(SECRET) | {"webhook-id": "msg_2"}, BODY, SENT),
        (headers(SECRET) | {"webhook-timestamp": str(int(SENT) + 1)}, BODY, SENT),
        (headers(SECRET) | {"webhook-timestamp": "now"}, BODY, SENT),
        (headers(SECRET) | {"webhook-signature": ""}, BODY, SENT),
        (headers(SECRET) | {"webhook-signature": "v1,é"}, BODY, SENT),
        ({}, BODY, SENT),
    ],
)
def test_any_other_message_is_refused(sent, body, now):
    with pytest.raises(WebhookRefused):
        verify(secret=SECRET, headers=sent, body=body, now=now)


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_an_empty_secret_with_which_anyone_can_sign_is_none(secret):
    with pytest.raises(ValueError, match="empty"):
        verify(secret=secret, headers=headers(SECRET), body=BODY, now=SENT)


@given(body=st.text(), secret=st.binary(min_size=24, max_size=64))
def test_whatever_is_signed_is_known_and_one_letter_more_is_not(body, secret):
    text, key = json.dumps(body), "whsec_" + base64.b64encode(secret).decode()
    assert verify(secret=key, headers=headers(key, body=text), body=text, now=SENT) == body
    with pytest.raises(WebhookRefused):
        verify(secret=key, headers=headers(key, body=text), body=text + " ", now=SENT)

"""What is posted to an address that a person typed: in time, without redirects, and not into our own network."""

import threading
import time

import pytest

from tests.webhooks.receivers import Receiver, drip, hang, hang_after_status
from web.posting import NoAnswer, PostRefused, post


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.stop()


def post_to(address, *, seconds=2.0, allow_private=True):
    return post(
        address,
        b"{}",
        {"X-Own": "1"},
        seconds=seconds,
        allow_private=allow_private,
        setting="WEBHOOK_PRIVATE_ADDRESSES",
    )


def test_a_body_arrives_with_its_headers(receiver):
    answer = post_to(receiver.url)
    assert (answer.status, answer.text) == (200, "thanks")
    (path, headers, body) = receiver.received[0]
    assert (path, body, headers["X-Own"]) == ("/hook?shop=1", "{}", "1")
    assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"


def test_a_redirect_is_an_answer_and_is_not_followed(receiver):
    receiver.answers = [lambda handler: handler.reply(302, {"Location": receiver.url})]
    assert post_to(receiver.url).status == 302
    assert len(receiver.received) == 1


@pytest.mark.parametrize("slowness", [hang, drip])
def test_the_time_holds_for_the_whole_exchange(receiver, slowness):
    receiver.answers = [slowness]
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="did not answer in time"):
        post_to(receiver.url, seconds=0.3)
    assert time.monotonic() - began < 5


def test_a_status_counts_though_the_body_after_it_never_ends(receiver):
    receiver.answers = [hang_after_status]
    assert post_to(receiver.url, seconds=0.3).status == 200


def test_a_server_that_speaks_no_tls_is_no_answer(receiver):
    with pytest.raises(NoAnswer):
        post_to(receiver.url.replace("http:", "https:"))


def test_a_closed_port_is_no_answer(receiver):
    receiver.stop()
    with pytest.raises(NoAnswer, match="No connection"):
        post_to(receiver.url)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://127.0.0.1/hook", "WEBHOOK_PRIVATE_ADDRESSES"),
        ("https://localhost/hook", "WEBHOOK_PRIVATE_ADDRESSES"),
        ("https://[::1]/hook", "WEBHOOK_PRIVATE_ADDRESSES"),
        ("https://169.254.169.254/latest", "WEBHOOK_PRIVATE_ADDRESSES"),
        ("https://[::ffff:10.0.0.1]/hook", "WEBHOOK_PRIVATE_ADDRESSES"),
        ("http://example.com/hook", "https"),
        ("ftp://example.com/hook", "https"),
        ("https:///hook", "https"),
        ("https://example.com:0/hook", "https"),
        ("https://xn--\udc80/hook", "web address"),
    ],
)
def test_our_own_network_and_what_is_no_address_are_not_posted_to(address, said):
    with pytest.raises(PostRefused, match=said):
        post_to(address, allow_private=False)


def test_no_thread_is_left_behind(receiver):
    before = threading.active_count()
    for _ in range(3):
        post_to(receiver.url)
    time.sleep(0.05)
    assert threading.active_count() <= before + 1

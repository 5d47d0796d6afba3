import socket

import pytest

from recommender_site.web_worker import PEEKED_BYTES, has_a_quick_question, is_a_quick_question

BODY = b'{"name": "x"}'
HEAD = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n"


@pytest.mark.parametrize(
    "waiting",
    [
        HEAD + BODY,
        HEAD.replace(b"/infer", b"/infer/") + BODY,
        HEAD.replace(b"/infer", b"/infer?top=3") + BODY,
        HEAD.replace(b"Content-Length", b"content-length") + BODY,
    ],
)
def test_a_whole_question_to_infer_is_quick(waiting):
    assert is_a_quick_question(waiting)


@pytest.mark.parametrize(
    "waiting",
    [
        b"",
        HEAD[:20],
        HEAD,  # the body is still under way
        HEAD + BODY[:-1],
        HEAD.replace(b"POST", b"GET") + BODY,
        HEAD.replace(b"/infer", b"/inference") + BODY,
        HEAD.replace(b"/infer", b"/batch") + BODY,
        HEAD.replace(b"Content-Length: 13", b"Transfer-Encoding: chunked") + BODY,
        HEAD.replace(b"13", b"1" * 30) + BODY,
    ],
)
def test_anything_else_is_left_to_the_threads(waiting):
    assert not is_a_quick_question(waiting)


def test_looking_at_a_question_does_not_take_it():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not has_a_quick_question(ours), "nothing has arrived, and nobody waits for it"
        theirs.sendall(HEAD + BODY)
        assert has_a_quick_question(ours)
        assert ours.recv(PEEKED_BYTES) == HEAD + BODY


def test_somebody_who_hung_up_asks_nothing():
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        assert not has_a_quick_question(ours)

import json
from io import BytesIO

import pytest

from recommender_site.http.whole_bodies import with_whole_bodies
from recommender_site.wsgi import application as as_served


def body_seen_of(body: bytes, **environ):
    """What an application reads, and the length it is given."""
    seen: dict = {}

    def application(environ, start_response):
        seen.update(body=environ["wsgi.input"].read(), length=environ.get("CONTENT_LENGTH"))
        return []

    with_whole_bodies(application)({"wsgi.input": BytesIO(body), **environ}, lambda *_: None)  # type: ignore[arg-type]
    return seen["body"], seen["length"]


def test_json_in_pieces_gets_its_length():
    headers = {"HTTP_TRANSFER_ENCODING": "Chunked", "CONTENT_TYPE": "application/json; charset=utf-8"}
    assert body_seen_of(b'{"a": 1}', **headers) == (b'{"a": 1}', "8")


def test_of_too_much_json_just_enough_is_read_to_refuse_it(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    headers = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": "application/json"}
    assert body_seen_of(b"x" * 1000, **headers) == (b"x" * 11, "11")


@pytest.mark.parametrize(
    "headers",
    [{}, {"CONTENT_LENGTH": "3"}, {"HTTP_TRANSFER_ENCODING": "identity", "CONTENT_TYPE": "application/json"},
     {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": "multipart/form-data"},
     {"HTTP_TRANSFER_ENCODING": "chunked"}],
)  # fmt: skip
def test_everything_else_is_left_alone(headers):
    assert body_seen_of(b"abc", **headers) == (b"abc", headers.get("CONTENT_LENGTH"))


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "missing"), [("/interact", "actions"), ("/add_items", "item_ids")])
def test_both_ways_to_a_route_find_what_came_in_pieces(path, missing):
    body = json.dumps({"user_id": "u", "item_ids" if missing == "actions" else "genres": []}).encode()
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "wsgi.input": BytesIO(body), "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
    }  # fmt: skip
    statuses: list[str] = []
    answer = json.loads(b"".join(as_served(environ, lambda status, headers: statuses.append(status))))  # type: ignore[arg-type]
    assert statuses[0].startswith("422")
    assert list(answer["error"]["fields"]) == [missing]

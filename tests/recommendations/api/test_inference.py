"""``/infer`` and ``/batch``, the documented way and the short one; both are held to the same answers."""

import io
import json

import numpy as np
import pytest
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client

from catalog.services import mark_sold
from recommendations.listings.index import drop_index
from recommendations.listings.vectors import read_vectors
from recommendations.models import VECTOR_DIMENSIONS
from recommender_site.http.fast_lane import with_fast_lane
from tests.factories import ApiKeyFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_demo_mode(settings):
    """Where the routes of the earlier systems are open; with keys they are tested in test_closed.py."""
    settings.DEMO_MODE = True


def no_usual_way(environ, start_response):
    raise AssertionError("the usual way was asked")


def the_usual_way(path: str, body: str | bytes):
    response = Client().post(path, body, content_type="application/json")
    return response.status_code, response.json()


def the_short_way(path: str, body: str | bytes):
    content = body.encode() if isinstance(body, str) else body
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(content)), "wsgi.input": io.BytesIO(content),
    }  # fmt: skip
    started = []
    chunks = with_fast_lane(no_usual_way)(environ, lambda status, headers: started.append(status))
    return int(started[0].split()[0]), json.loads(b"".join(chunks))


both_ways = pytest.mark.parametrize("ask", [the_usual_way, the_short_way])


@pytest.fixture(autouse=True)
def _connections_stay_open():
    """Django's own test client keeps the connection of the test open as well."""
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)


@pytest.fixture
def market():
    return trained_market(6)


def vector(seed: int = 0) -> list[float]:
    return np.random.default_rng(seed).normal(size=VECTOR_DIMENSIONS).tolist()


def entry(seed: int = 0, **more) -> dict:
    return {"name": f"question {seed}", "vector": vector(seed), **more}


def brute_force(market, question: list[float], listings) -> list[tuple[int, float]]:
    ids, vectors, _ = read_vectors(market.version, [listing.pk for listing in listings])
    scores = [sum(float(a) * b for a, b in zip(row, question, strict=True)) for row in vectors]
    return sorted(zip(ids.tolist(), scores, strict=True), key=lambda pair: (-pair[1], pair[0]))


@both_ways
def test_the_answer_is_the_highest_inner_products(market, ask):
    status, answer = ask("/infer", json.dumps(entry()))
    assert status == 200
    assert answer["name"] == "question 0"
    expected = brute_force(market, vector(), [*market.skodas, *market.bmws])[:10]
    assert [match["id"] for match in answer["recommendations"]] == [listing_id for listing_id, _ in expected]
    np.testing.assert_allclose([match["score"] for match in answer["recommendations"]], [s for _, s in expected])
    names = {listing.pk: listing.name for listing in (*market.skodas, *market.bmws)}
    assert all(match["name"] == names[match["id"]] for match in answer["recommendations"])


@both_ways
def test_a_batch_is_so_many_single_questions(market, ask):
    entries = [entry(seed) for seed in range(7)]
    _, together = ask("/batch?top=3", json.dumps(entries))
    assert together == [ask("/infer?top=3", json.dumps(one))[1] for one in entries]


@both_ways
def test_no_entries_have_no_answers(market, ask):
    assert ask("/batch", "[]") == (200, [])


@both_ways
def test_magnitude_counts_and_ties_go_to_the_lower_id(market, ask):
    _, once = ask("/infer", json.dumps({"name": "x", "vector": vector()}))
    _, twice = ask("/infer", json.dumps({"name": "x", "vector": [2 * number for number in vector()]}))
    for one, two in zip(once["recommendations"], twice["recommendations"], strict=True):
        assert two["score"] == pytest.approx(2 * one["score"])
    _, nothing = ask("/infer?top=200", json.dumps({"name": "x", "vector": [0] * VECTOR_DIMENSIONS}))
    ids = [match["id"] for match in nothing["recommendations"]]
    assert ids == sorted(ids)
    assert len(ids) == 12


@both_ways
def test_groups_have_a_list_each(market, ask):
    _, answer = ask("/infer?group_by=make&top=2", json.dumps(entry()))
    assert list(answer["recommendations"]) == ["bmw", "skoda"]
    for cars, group in ((market.bmws, "bmw"), (market.skodas, "skoda")):
        expected = [listing_id for listing_id, _ in brute_force(market, vector(), cars)[:2]]
        assert [match["id"] for match in answer["recommendations"][group]] == expected
    _, by_body = ask("/infer", json.dumps(entry(group_by="body", top=1)))
    assert {group: len(matches) for group, matches in by_body["recommendations"].items()} == {
        "hatchback": 1,
        "saloon": 1,
    }


@both_ways
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400])
def test_a_number_that_is_not_finite_costs_its_own_answer_only(market, ask, number):
    odd = f'{{"name": "odd", "vector": [{number}, {", ".join(["0"] * (VECTOR_DIMENSIONS - 1))}]}}'
    status, answers = ask("/batch", f"[{json.dumps(entry(1))}, {odd}, {json.dumps(entry(2))}]")
    assert status == 200
    assert answers[1] == {"name": "odd", "recommendations": None}
    assert [len(answer["recommendations"]) for answer in (answers[0], answers[2])] == [10, 10]


@both_ways
def test_numbers_too_large_for_single_precision_are_answered(market, ask):
    large = [1e200 * number for number in vector()]
    _, answer = ask("/infer", json.dumps({"name": "large", "vector": large}))
    expected = brute_force(market, large, [*market.skodas, *market.bmws])[:10]
    assert [match["id"] for match in answer["recommendations"]] == [listing_id for listing_id, _ in expected]


WRONG = {
    "no JSON": ("/infer", "{", None),
    "no UTF-8": ("/infer", b"\xff", None),
    "nothing": ("/infer", "", None),
    "a list instead of an object": ("/infer", "[]", "body"),
    "an object instead of a list": ("/batch", "{}", None),
    "no name": ("/infer", json.dumps({"vector": vector()}), "name"),
    "a name that is no text": ("/infer", json.dumps({"name": 7, "vector": vector()}), "name"),
    "no vector": ("/infer", json.dumps({"name": "x"}), "vector"),
    "an empty vector": ("/infer", json.dumps({"name": "x", "vector": []}), "vector"),
    "a short vector": ("/infer", json.dumps({"name": "x", "vector": [1, 2]}), "vector"),
    "a vector of texts": ("/infer", json.dumps({"name": "x", "vector": ["1"] * VECTOR_DIMENSIONS}), "vector"),
    "a vector of truths": ("/infer", json.dumps({"name": "x", "vector": [True] * VECTOR_DIMENSIONS}), "vector"),
    "a vector that is a text": ("/infer", json.dumps({"name": "x", "vector": "1,2"}), "vector"),
    "the second of two": ("/batch", json.dumps([entry(), {"name": "x", "vector": [1]}]), "[1].vector"),
    "an entry that is no object": ("/batch", json.dumps([entry(), 5]), "[1]"),
    "a length that is none, for no entry": ("/batch?top=many", "[]", "top"),
    "a group that is none, for no entry": ("/batch?group_by=colour", "[]", "group_by"),
    "none at all": ("/infer?top=0", json.dumps(entry()), "top"),
    "too many": ("/infer?top=201", json.dumps(entry()), "top"),
    "half a car": ("/infer?top=1.5", json.dumps(entry()), "top"),
    "an unknown group": ("/infer?group_by=colour", json.dumps(entry()), "group_by"),
    "a group without a name": ("/infer?group_by=", json.dumps(entry()), "group_by"),
    "a group that is no text": ("/infer", json.dumps(entry(group_by=["body"])), "group_by"),
}  # fmt: skip


@both_ways
@pytest.mark.parametrize(("path", "body", "field"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(market, ask, path, body, field):
    status, answer = ask(path, body)
    assert status == 400
    assert answer["error"]["message"]
    if field:
        assert field in answer["error"]["fields"]


@both_ways
def test_a_body_too_large_is_refused(market, ask, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert ask("/infer", json.dumps(entry()))[0] == 413


@both_ways
def test_more_entries_than_agreed_are_refused(market, ask, settings):
    settings.INFERENCES_PER_REQUEST = 2
    assert ask("/batch", json.dumps([entry()] * 3))[0] == 400


@both_ways
def test_before_any_ranker_is_live_nothing_can_be_answered(ask):
    status, answer = ask("/infer", json.dumps(entry()))
    assert status == 503
    assert "train" in answer["error"]["message"]


@both_ways
def test_a_sold_car_is_gone(market, ask, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    best = ask("/infer?top=1", json.dumps(entry()))[1]["recommendations"][0]["id"]
    mark_sold(listing=next(car for car in (*market.skodas, *market.bmws) if car.pk == best))
    later = ask("/infer?top=200", json.dumps(entry()))[1]["recommendations"]
    assert best not in [match["id"] for match in later]
    assert len(later) == 11


@both_ways
def test_a_second_question_asks_the_database_nothing(market, ask, settings, django_assert_num_queries):
    settings.WINDOW_STALENESS_SECONDS = 60
    ask("/infer", json.dumps(entry()))
    with django_assert_num_queries(0):
        ask("/infer", json.dumps(entry(1)))


@both_ways
@pytest.mark.parametrize("path", ["/infer?top=3", "/infer?top=3&group_by=make", "/infer?top=3&group_by=body"])
def test_the_database_answers_the_same_where_memory_is_too_small(market, ask, settings, path):
    expected = ask(path, json.dumps(entry()))
    settings.WINDOW_MAX_LISTINGS = 3
    drop_index()
    assert ask(path, json.dumps(entry())) == expected


def test_a_key_is_needed_where_the_installation_says_so(market, settings):
    settings.INFERENCE_NEEDS_KEY = True
    body = json.dumps(entry())
    assert Client().post("/infer", body, content_type="application/json").status_code in (401, 403)
    ApiKeyFactory(secret="fc_reads", scopes=["read"])
    answer = Client(headers={"X-Api-Key": "fc_reads"}).post("/infer", body, content_type="application/json")
    assert answer.status_code == 200
    asked = []

    def usual_way(environ, start_response):
        asked.append(environ["PATH_INFO"])
        return []

    with_fast_lane(usual_way)({"REQUEST_METHOD": "POST", "PATH_INFO": "/infer"}, no_usual_way)
    assert asked == ["/infer"]


@pytest.mark.parametrize("path", ["/infer", "/batch"])
def test_questions_are_posted(path):
    assert Client().get(path).status_code == 405

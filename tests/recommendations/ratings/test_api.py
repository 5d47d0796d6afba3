"""Clients who know only the contract: names and ratings in, names and estimates out."""

import json

import pytest
from django.test import Client

from accounts.services import create_api_key
from recommendations.ratings.model import RatingModel
from tests.factories import UserFactory
from tests.recommendations.ratings.conftest import FILMS, LOVE, QUICK, SPACE, UNRATED

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(settings, models):
    settings.RATINGS_DIR = models


def post(path: str, body, **headers):
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return Client().post(path, content, content_type="application/json", headers=headers)


def problems(response) -> tuple[int, list[str]]:
    return response.status_code, list(response.json()["error"]["fields"])


@pytest.mark.parametrize("path", ["/api/predict", "/api/predict/"])
def test_a_person_without_history_is_estimated(trained, path):
    names, estimates = post(path, [["Alien (1979)", "matrix", "Gohst"], [5, 5, 1]]).json()
    assert len(names) == len(estimates) == 17
    assert names[0] in SPACE
    assert names[-1] in LOVE
    assert estimates == sorted(estimates, reverse=True)
    assert 1 <= estimates[-1] <= estimates[0] <= 5
    assert not {"Alien (1979)", "Matrix, The (1999)", "Ghost (1990)"} & set(names)


def test_as_many_as_asked_for(trained):
    rated = [["Alien"], [5]]
    by_address = post("/api/predict?top=3", rated).json()
    assert [len(part) for part in by_address] == [3, 3]
    assert post("/api/predict", {"names": ["Alien"], "ratings": [5], "top": 3}).json() == by_address
    assert len(post("/api/predict?top=1000", rated).json()[0]) == 19


def test_uncertainty_comes_as_a_third_list(trained):
    names, estimates, uncertainties = post("/api/predict?top=4&uncertainty=1", [["Alien"], [5]]).json()
    assert len(names) == len(estimates) == len(uncertainties) == 4
    assert all(0 < uncertainty < 4 for uncertainty in uncertainties)


def test_nothing_is_learned_from_a_title_without_ratings(trained):
    with_it = post("/api/predict", [["Alien", UNRATED], [5, 1]]).json()
    assert with_it == post("/api/predict", [["Alien"], [5]]).json()
    assert UNRATED not in with_it[0]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ([["Alien"], [5, 4]], ["ratings"]),
        ([[], []], ["names"]),
        ([["Alien", "", 7, None], [5, 4, 3, 2]], ["names[1]", "names[2]", "names[3]"]),
        ([["Alien", "x" * 301], [5, 4]], ["names[1]"]),
        ([["Alien", "Dune", "Moon", "Emma"], ["5", True, None, [1]]], [f"ratings[{n}]" for n in range(4)]),
        ([["Alien", "Dune", "Moon"], [0, 5.5, -1e300]], ["ratings[0]", "ratings[1]", "ratings[2]"]),
        ('[["Alien", "Dune"], [NaN, Infinity]]', ["ratings[0]", "ratings[1]"]),
        ('[["Alien"], [1' + "0" * 400 + "]]", ["ratings[0]"]),
        ([{"Alien": 1}, [5]], ["names"]),
        ([["Alien"], 5], ["ratings"]),
        ({"names": ["Alien"]}, ["ratings"]),
        ({}, ["names", "ratings"]),
        ({"names": ["Alien"], "ratings": [5], "top": "many"}, ["top"]),
        ({"names": ["Alien"], "ratings": [5], "top": None}, ["top"]),
        ({"names": ["Alien"], "ratings": [5], "top": True}, ["top"]),
        ([["Alien"] * 5001, [5] * 5001], ["names"]),
        ([], []), ([["Alien"]], []), ([["a"], [1], [2]], []), ("5", []), ("null", []), ('"Alien"', []),
        ("", ["names", "ratings"]), ("{", []), (b"\xff", []), ('[["a\\u0000"], [1]]', []), ("[" * 100_000, []),
    ],
)  # fmt: skip
def test_every_entry_that_is_wrong_is_named(trained, body, fields):
    assert problems(post("/api/predict", body)) == (400, fields)


@pytest.mark.parametrize(
    "query", ["top=0", "top=-1", "top=1001", "top=x", "top=1e3", "top=", "top=٣", "top=1" + "0" * 99]
)
def test_a_number_that_makes_no_sense_is_named(trained, query):
    assert problems(post(f"/api/predict?{query}", [["Alien"], [5]])) == (400, ["top"])
    assert problems(post(f"/api/similar?{query.replace('top', 'n')}", {"name": "Alien"})) == (400, ["n"])


def test_a_switch_that_makes_no_sense_is_named(trained):
    assert problems(post("/api/predict?uncertainty=perhaps", [["Alien"], [5]])) == (400, ["uncertainty"])


def test_names_that_mean_nothing_are_named_with_the_nearest_titles(trained):
    response = post("/api/predict", [["Alien", "Aliennnnnn", "Citizen Kane"], [5, 4, 3]])
    assert problems(response) == (404, ["names[1]", "names[2]"])
    assert "Aliens (1986)" in response.json()["error"]["fields"]["names[1]"][0]
    assert response.json()["error"]["code"] == "not_found"


def test_very_many_wrong_names_cost_little(trained):
    response = post("/api/predict", [[f"no such film {n}" for n in range(5000)], [5] * 5000])
    assert response.status_code == 404
    assert len(response.json()["error"]["fields"]) == 5000


@pytest.mark.parametrize("path", ["/api/similar", "/api/similar/"])
@pytest.mark.parametrize("body", [{"movie_name": "Alien"}, {"name": "Alien (1979)"}, {"movie_name": "Alein", "n": 5}])
def test_similar_titles_come_without_the_title_itself(trained, path, body):
    names, similarities = post(path, body).json()
    assert len(names) == len(similarities) == 5
    assert set(names) <= set(SPACE) - {"Alien (1979)"}
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1 <= similarity <= 1 for similarity in similarities)


def test_as_many_similar_titles_as_asked_for(trained):
    assert len(post("/api/similar?n=2", {"name": "Alien"}).json()[0]) == 2
    assert len(post("/api/similar?n=2", {"name": "Alien", "n": 3}).json()[0]) == 3


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"movie_name": "Citizen Kane"}, 404, ["movie_name"]),
        ({"name": "Citizen Kane"}, 404, ["name"]),
        ({"name": UNRATED}, 404, ["name"]),
        ({}, 400, ["movie_name"]),
        ({"movie_name": 5}, 400, ["movie_name"]),
        ({"movie_name": " "}, 400, ["movie_name"]),
        ({"name": "Alien", "n": 0}, 400, ["n"]),
        (["Alien"], 400, []),
        ("Alien", 400, []),
    ],
)
def test_a_title_that_cannot_be_found_is_named(trained, body, status, fields):
    assert problems(post("/api/similar", body)) == (status, fields)


def test_the_nearest_titles_are_named(trained):
    message = post("/api/similar", {"movie_name": "Titanics and more"}).json()["error"]["message"]
    assert "Titanic (1997)" in message


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/api/predict", [["Alien"], [5]]),
        ("post", "/api/similar", {"name": "Alien"}),
        ("post", "/api/reload", None),
        ("get", "/api/reload", None),
    ],
)
def test_without_a_model_the_answer_names_the_command(settings, tmp_path, method, path, body):
    settings.RATINGS_DIR = tmp_path
    response = post(path, body) if method == "post" else Client().get(path)
    assert response.status_code == 503
    assert "manage.py ratings train --dataset=PATH" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/info", "/api/info/"])
def test_info_reports_who_what_and_how_good(trained, path):
    info = Client().get(path).json()
    assert info["authors"]
    assert info["built_at"].startswith("20")
    assert info["trained_at"].startswith("20")
    assert info["training_seconds"] > 0
    assert (info["dataset"]["name"], info["dataset"]["n_items"], info["dataset"]["scale"]) == (
        "ratings.dat",
        20,
        [1, 5],
    )
    assert info["metrics"]["validation_rmse"] < info["metrics"]["validation_bias_rmse"]
    assert "evaluations" in info["metrics"]


def test_info_answers_before_the_first_training(settings, tmp_path):
    settings.RATINGS_DIR = tmp_path
    info = Client().get("/api/info").json()
    assert info["authors"]
    assert info["built_at"]
    assert info["model"] is info["trained_at"] is info["dataset"] is info["metrics"] is None


def test_reload_reports_which_model_answers_from_now_on(settings, village, tmp_path):
    settings.RATINGS_DIR = tmp_path
    RatingModel(tmp_path).train(village, config=QUICK)
    first = Client().get("/api/reload").json()
    RatingModel(tmp_path).train(village, config=QUICK)
    second = Client().post("/api/reload/").json()
    assert second["model"] > first["model"]
    assert Client().get("/api/info").json()["model"] == second["model"]
    assert Client().get("/api/reload/").json() == Client().post("/api/reload").json() == second


@pytest.fixture
def log(settings, tmp_path):
    settings.LOG_FILE = str(tmp_path / "forecourt.log")
    (tmp_path / "forecourt.log.1").write_text("".join(f"old line {n}\n" for n in range(30)))
    (tmp_path / "forecourt.log").write_text("".join(f"new line {n}\n" for n in range(5)))
    return tmp_path / "forecourt.log"


@pytest.mark.parametrize("path", ["/api/log", "/api/log/"])
def test_the_last_twenty_lines_are_open_in_demo_mode(settings, log, path):
    settings.DEMO_MODE = True
    lines = Client().get(path).json()["lines"]
    assert lines == [*(f"old line {n}" for n in range(15, 30)), *(f"new line {n}" for n in range(5))]


def test_the_whole_log_can_be_downloaded(settings, log):
    settings.DEMO_MODE = True
    response = Client().get("/api/log?full=1")
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"] == 'attachment; filename="forecourt.log"'
    assert b"".join(response.streaming_content).decode().splitlines()[::34] == ["old line 0", "new line 4"]


def test_outside_of_demo_mode_the_log_is_for_staff_and_admin_keys(settings, log):
    settings.DEMO_MODE = False
    _, admin_key = create_api_key(name="an operator", scopes=["admin"], created_by=None)
    _, reader_key = create_api_key(name="a reader", scopes=["read"], created_by=None)
    staff, user = Client(), Client()
    staff.force_login(UserFactory(is_staff=True))
    user.force_login(UserFactory())
    assert Client().get("/api/log").status_code == 401
    assert user.get("/api/log").status_code == 403
    assert Client().get("/api/log", headers={"X-Api-Key": reader_key}).status_code == 403
    assert Client().get("/api/log", headers={"X-Api-Key": admin_key}).status_code == 200
    assert staff.get("/api/log").status_code == 200


def test_a_log_that_is_not_kept_is_a_404(settings):
    settings.DEMO_MODE, settings.LOG_FILE = True, ""
    assert Client().get("/api/log").status_code == 404


def test_every_answer_that_costs_something_leaves_a_line_in_the_log(trained, caplog):
    with caplog.at_level("INFO"):
        post("/api/predict", [["Alien"], [5]])
        post("/api/similar", {"name": "Alien"})
    assert "predict: 1 ratings" in caplog.text
    assert "similar: Alien (1979)" in caplog.text


def test_a_crash_is_logged_and_answered_in_json(trained, monkeypatch, caplog):
    monkeypatch.setattr("recommendations.api.ratings.items_named", lambda names, loaded: 1 / 0)
    client = Client(raise_request_exception=False)
    response = client.post("/api/predict", json.dumps([["Alien"], [5]]), content_type="application/json")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "error")
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in response.content.decode()


def test_all_films_can_be_asked_for_by_the_names_they_are_answered_with(trained):
    for name in FILMS:
        assert post("/api/similar", {"movie_name": name}).status_code == 200


def test_callers_have_an_allowance_by_address_of_their_own(trained, monkeypatch):
    monkeypatch.setattr("recommendations.api.ratings.RatingsThrottle.rate", "2/day", raising=False)
    monkeypatch.setattr("accounts.api.throttles.CountingThrottle.timer", lambda throttle: 86_400 * 20_000 + 43_200.0)
    statuses = [Client().get("/api/info", REMOTE_ADDR="203.0.113.1").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert Client().get("/api/info", REMOTE_ADDR="203.0.113.2").status_code == 200
    assert Client().get("/api/v1", REMOTE_ADDR="203.0.113.1").status_code == 200

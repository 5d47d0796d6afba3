import pytest
from rest_framework.test import APIClient

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.buyers.questionnaire import IMPLIED_BY_USE, wishes_in

pytestmark = pytest.mark.django_db
PREFERENCES = "/api/v1/users/me/preferences"
OPEN = {
    "budget_min": None, "budget_max": None, "bodies": [], "fuels": [], "gearboxes": [], "drives": [], "colours": [],
    "brands": [], "models": [], "min_year": None, "max_mileage": None, "min_seats": None, "use": None,
}  # fmt: skip


def test_answers_are_kept_in_the_names_of_filters(as_alice, alice):
    answers = {"budget_min": 5000, "budget_max": 9000.5, "bodies": ["Estate"], "fuels": ["diesel", "Petrol"],
               "gearboxes": "automatic", "brands": ["VW", "Škoda"], "models": "3 Series", "drives": "4WD",
               "colours": ["Silber"], "min_year": 2018, "max_mileage": 60000, "min_seats": 7,
               "use": "family"}  # fmt: skip
    got = as_alice.post(PREFERENCES, answers)
    assert got.status_code == 200
    assert got.json() == {
        "budget_min": 5000.0, "budget_max": 9000.5, "bodies": ["estate"], "fuels": ["diesel", "petrol"],
        "gearboxes": ["automatic"], "drives": ["all"], "colours": ["silver"], "brands": ["volkswagen", "skoda"],
        "models": ["3-series"], "min_year": 2018, "max_mileage": 60000, "min_seats": 7, "use": "family",
    }  # fmt: skip
    assert as_alice.get(PREFERENCES).json() == got.json()
    alice.refresh_from_db()
    assert alice.questionnaire == {
        "min_price": 5000.0, "max_price": 9000.5, "bodies": ["estate"], "fuels": ["diesel", "petrol"],
        "gearboxes": ["automatic"], "drives": ["all"], "colours": ["silver"], "makes": ["volkswagen", "skoda"],
        "models": ["3-series"], "min_year": 2018, "max_mileage_km": 60000, "min_seats": 7, "use": "family",
    }  # fmt: skip


def test_answers_may_be_given_in_the_singular(as_alice):
    answers = {"budget": 9000, "body": "estate", "fuel": ["diesel"], "gearbox": "manual", "brand": "VW"}
    assert as_alice.post(PREFERENCES, answers).json() == OPEN | {
        "budget_max": 9000.0, "bodies": ["estate"], "fuels": ["diesel"], "gearboxes": ["manual"],
        "brands": ["volkswagen"],
    }  # fmt: skip
    numbers = {"year": 2018, "mileage": 60000, "seats": 7, "model": "Golf", "drive": "all", "colour": "red"}
    assert as_alice.post(PREFERENCES, numbers).json() == OPEN | {
        "min_year": 2018, "max_mileage": 60000, "min_seats": 7, "models": ["golf"], "drives": ["all"],
        "colours": ["red"],
    }  # fmt: skip
    both = {"bodies": ["suv"], "body": "estate"}
    assert as_alice.post(PREFERENCES, both).json() == OPEN | {"bodies": ["suv"]}, "the documented name counts"


def test_who_was_never_asked_has_answered_nothing(as_alice):
    assert as_alice.get(PREFERENCES).json() == OPEN


def test_new_answers_replace_old_ones(as_alice):
    as_alice.post(PREFERENCES, {"fuels": ["diesel"]})
    assert as_alice.post(PREFERENCES, {"bodies": ["suv"]}).json() == OPEN | {"bodies": ["suv"]}
    assert as_alice.post(PREFERENCES, {}).json() == OPEN


@pytest.mark.parametrize(
    ("answers", "field"),
    [({"budget_min": 2, "budget_max": 1}, "budget_min"), ({"budget_min": -1}, "budget_min"),
     ({"budget_max": 10**400}, "budget_max"), ({"budget_max": "much"}, "budget_max"),
     ({"budget_max": True}, "budget_max"), ({"bodies": ["tank"]}, "bodies"), ({"bodies": 5}, "bodies"),
     ({"fuels": {"a": 1}}, "fuels"), ({"fuels": [["petrol"]]}, "fuels"),
     ({"gearboxes": "none at all"}, "gearboxes"), ({"brands": ["x" * 200]}, "brands"), ({"use": "racing"}, "use"),
     ({"min_seats": -1}, "min_seats"), ({"min_year": "new"}, "min_year"), ({"max_mileage": 1.5}, "max_mileage"),
     ({"drives": ["five"]}, "drives"),
     ({"use": ["family"]}, "use")],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_refused_and_the_old_ones_stay(as_alice, answers, field):
    as_alice.post(PREFERENCES, {"fuels": ["diesel"]})
    got = as_alice.post(PREFERENCES, answers)
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, [field])
    assert as_alice.get(PREFERENCES).json() == OPEN | {"fuels": ["diesel"]}


@pytest.mark.parametrize("body", [[], "x", 5, [{}]])
def test_what_are_no_answers_is_refused(as_alice, body):
    assert as_alice.post(PREFERENCES, body).status_code == 400


def test_answers_are_one_s_own(as_alice, as_carol, carol):
    as_alice.post(PREFERENCES, {"fuels": ["diesel"]})
    assert as_carol.get(PREFERENCES).json() == OPEN
    carol.refresh_from_db()
    assert carol.questionnaire == {}


def test_carol_may_neither_read_nor_change_what_alice_answered(as_carol, alice):
    alice.external_id = "alice"
    alice.save()
    assert as_carol.get(f"{PREFERENCES}?buyer=alice").status_code == 403
    assert as_carol.post(f"{PREFERENCES}?buyer=alice", {"fuels": ["diesel"]}).status_code == 403


def test_a_client_system_answers_for_the_buyer_it_names(as_garage):
    assert as_garage.post(f"{PREFERENCES}?buyer=007", {"fuels": ["diesel"]}).status_code == 200
    assert Buyer.objects.get(external_id="007").questionnaire == {"fuels": ["diesel"]}
    assert as_garage.post(PREFERENCES, {"fuels": ["diesel"]}).status_code == 400


def test_a_key_that_may_only_read_may_not_answer(as_reader):
    assert as_reader.post(f"{PREFERENCES}?buyer=007", {"fuels": ["diesel"]}).status_code == 403


def test_unauthenticated_requests_are_refused():
    assert APIClient().get(PREFERENCES).status_code == 401


def test_what_was_answered_goes_before_what_the_use_implies():
    assert wishes_in({"use": "family"})["bodies"] == ["estate", "mpv", "suv"]
    assert wishes_in({"use": "family", "bodies": ["coupe"], "max_price": 1}) == {"bodies": ["coupe"], "max_price": 1}
    assert wishes_in({}) == {}


@pytest.mark.parametrize("use", IMPLIED_BY_USE)
def test_what_a_use_implies_can_be_asked_of_listings(use):
    wishes = wishes_in({"use": use})
    assert ListingFilters.from_query(wishes).as_query() == wishes

"""An attribute, a candidate source, a score term and a metric are each declared in one place, and work everywhere.

``tests/declarations.py`` declares some and says what the site does with them.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def seen(django_db_setup, django_db_blocker) -> dict[str, Any]:
    name = connection.settings_dict["NAME"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "tests.declarations", str(name)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_an_attribute_is_read_from_files_and_from_clients_and_exported(seen):
    assert seen["imported"] == [["1", 420, "low"], ["2", 150, "high"], ["3", None, ""]]
    assert seen["sent"] == [[300, "low"]]
    assert seen["exported"] == [[420, "low"], [150, "high"], [None, ""]]


def test_an_attribute_filters_in_the_api_in_sql_and_in_memory(seen):
    assert seen["found"] == {
        "min_range=400": ["1"],
        "max_range=200": ["2"],
        "emissions=high": ["2"],
        "emissions=ULEZ&min_range=100": ["1"],
        "q=ulez octavia": ["1"],
    }
    assert seen["asked"] == ["1"]
    assert seen["in memory"] == 15


def test_an_attribute_is_shown_in_answers_in_the_shop_and_in_the_admin(seen):
    assert (seen["card"], seen["page"]) == ([420], "low")
    assert seen["facts"] == ["373\u00a0miles", "Low emission"]
    assert seen["form"] == [True, True]
    assert seen["listed"] == [True, False]
    assert seen["rule"] == [True, True]


def test_an_attribute_is_a_feature_of_the_next_training_and_the_artifact_before_it_serves(seen):
    assert seen["old artifact"] == [10, False]
    assert seen["features"] == ["emissions", "range"]


def test_a_reason_names_an_attribute_and_a_term(seen):
    assert seen["reasons"] == ["Because you opened low-emission cars, with a long range.", "It stands far north."]


def test_a_source_has_its_share_of_a_list_and_its_reason(seen):
    assert "odd" in seen["sources"]
    assert set(seen["odd ids"]) == {1}
    assert seen["odd reasons"] == ["Its id is odd."]


def test_a_term_is_part_of_every_score_and_learned_by_the_next_training(seen):
    assert seen["terms"]
    assert seen["term weight"]


def test_a_metric_is_measured_and_has_a_column_in_the_report(seen):
    assert seen["metrics"] == [["first hit", 1.0], [True, "whether the first one is a hit"]]

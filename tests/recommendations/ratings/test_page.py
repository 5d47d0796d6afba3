"""The examples of docs/ratings.md do what the page says."""

import re
from pathlib import Path

import pytest
from django.conf import settings as site

from tests.recommender_site.http.test_api_page import run

PAGE = (Path(site.BASE_DIR) / "docs" / "ratings.md").read_text()


def commands() -> list[str]:
    blocks = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    return [
        command.replace("\\\n", " ")
        for command in re.findall(r"^curl .*?(?=^curl |\Z)", blocks, re.DOTALL | re.MULTILINE)
    ]


@pytest.mark.django_db
def test_every_example_of_the_page_works(settings, models, tmp_path):
    settings.RATINGS_DIR, settings.DEMO_MODE = models, True
    settings.LOG_FILE = str(tmp_path / "forecourt.log")
    answers = {command: run(command, {"HOST": "http://localhost:8000"}) for command in commands()}
    assert len(answers) >= 7
    assert {command: answer.status_code for command, answer in answers.items() if answer.status_code >= 400} == {}

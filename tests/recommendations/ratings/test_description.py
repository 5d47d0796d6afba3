"""What the description of the API says of the star ratings is true."""

import pytest
import schemathesis
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from recommender_site.wsgi import application
from tests.recommender_site.http.test_description import EXAMPLES, STAR_RATINGS

described = schemathesis.openapi.from_wsgi("/api/schema?format=json", application).include(path_regex=STAR_RATINGS)


@pytest.fixture
def demo(settings, models, tmp_path, one_connection):
    settings.RATINGS_DIR, settings.DEMO_MODE = models, True
    settings.LOG_FILE = str(tmp_path / "forecourt.log")


@described.parametrize()
@EXAMPLES
def test_every_answer_is_one_that_the_description_announces(case, demo):
    response = case.call(headers={"Accept-Encoding": "identity"})  # what checks it decompresses nothing
    case.validate_response(response, excluded_checks=[ignored_auth, positive_data_acceptance])

"""A production site is closed and encrypted: Django's own deployment checks find nothing, and neither do attackers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.api.authentication import ApiKeyAuthentication
from tests.factories import ApiKeyFactory, UserFactory
from tests.recommender_site.test_settings import documented

PROJECT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DATABASE_URL": "postgres://forecourt@database:5432/forecourt",
    "REDIS_URL": "redis://redis:6379/1",
    "CELERY_BROKER_URL": "redis://redis:6379/0",
    "SECRET_KEY": "4wn+q2b!r9s8vX7zK1mLpQ0cTfYhGdJeUaBoNiEwRtZxCvMb6u",
    "ALLOWED_HOSTS": "cars.example.com",
    "BEHIND_HTTPS_PROXY": "True",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "True",
    "SECURE_HSTS_PRELOAD": "True",
    "LOG_FILE": "",
}


def test_the_deployment_checks_find_nothing():
    environment = {name: value for name, value in os.environ.items() if name not in documented()}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=PROJECT, env={**environment, **PRODUCTION, "DJANGO_SETTINGS_MODULE": "recommender_site.settings"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_continuous_integration_runs_them_on_the_same_settings():
    workflow = (PROJECT / ".github/workflows/test.yml").read_text()
    assert "manage.py check --deploy --fail-level WARNING" in workflow
    for name in PRODUCTION:
        assert name in workflow or name == "LOG_FILE"


@pytest.mark.parametrize("is_secure", [True, False])
def test_https_is_asked_for_and_remembered_by_browsers(is_secure, settings):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 3600
    answer = Client().get("/api/docs", secure=is_secure)
    assert (answer.status_code == 301) == (not is_secure)
    assert answer.get("Strict-Transport-Security") == ("max-age=3600" if is_secure else None)


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title, str.swapcase])
@pytest.mark.parametrize("scheme", ["Bearer", "Api-Key"])
@pytest.mark.django_db
def test_the_scheme_of_a_credential_may_be_in_any_case(scheme, spelling):

    ApiKeyFactory(secret="fc_reading", scopes=["read"])
    secret = (
        "fc_reading" if scheme == ApiKeyAuthentication.keyword else RefreshToken.for_user(UserFactory()).access_token
    )
    for blanks in (" ", "  "):
        answer = Client().get("/api/v1/cars/search", headers={"Authorization": f"{spelling(scheme)}{blanks}{secret}"})
        assert answer.status_code == 200, answer.content

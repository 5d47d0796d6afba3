"""The command line: what it says instead of a stack trace."""

import sys

import pytest
from django.db import connection

import manage


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["RENAME TO of_another_release", "RENAME COLUMN email TO of_another_release"])
def test_a_database_of_another_release_is_named(monkeypatch, change):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE accounts_user {change}")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "long enough 9 words")
    monkeypatch.setattr(sys, "argv", ["manage.py", "createsuperuser", "--noinput", "--email", "first@example.com"])
    with pytest.raises(SystemExit, match=r"does not exist.*python manage.py migrate"):
        manage.main()

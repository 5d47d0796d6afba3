#!/usr/bin/env python
"""Django's command line. Where no database is configured, it runs on the embedded servers."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedTable

from recommender_site import env  # noqa: F401 (env reads the .env file)
from recommender_site.local import embedded
from recommender_site.local.home import EmbeddedError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    try:
        embedded.ensure()
        _ = settings.DEBUG  # reads the settings now, so that a bad one is reported without a stack trace
    except (EmbeddedError, ImproperlyConfigured) as problem:
        sys.exit(f"manage.py: {problem}")
    try:
        execute_from_command_line(sys.argv)
    except ProgrammingError as error:
        if isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
            lacks = str(error).splitlines()[0]
            sys.exit(f"manage.py: the database is not of this release ({lacks}): run `python manage.py migrate`")
        raise


if __name__ == "__main__":
    main()

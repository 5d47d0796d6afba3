#!/usr/bin/env python
"""Django's command line. Where no database is configured, it runs on the embedded servers."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from recommender_site import env  # noqa: F401 (env reads the .env file)
from recommender_site.local import embedded


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    try:
        embedded.ensure()
        _ = settings.DEBUG  # reads the settings now, so that a bad one is reported without a stack trace
    except (embedded.EmbeddedError, ImproperlyConfigured) as problem:
        sys.exit(f"manage.py: {problem}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

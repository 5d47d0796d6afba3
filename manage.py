#!/usr/bin/env python
"""Django's command line. Where no database is configured, it runs on the embedded servers."""

import os
import sys

from django.core.management import execute_from_command_line

from recommender_site import embedded


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    embedded.ensure()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

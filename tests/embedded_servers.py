"""A pytest plugin that starts the embedded servers before Django reads its settings.

Its data directory is apart from the development one, so that tests never touch a running site.
"""

from recommender_site.local import embedded

embedded.ensure("test")

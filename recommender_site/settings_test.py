"""The settings, with a fast hasher, a key prefix per test worker, and no throttling."""

import os

# Before the settings read it: names of queues and keys are made of it.
os.environ["KEY_PREFIX"] = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
os.environ["LOG_FILE"] = ""  # pytest shows what was logged
os.environ["RATINGS_DIR"] = "/nonexistent"  # tests that train or ask name a folder of their own

from recommender_site.settings import *  # noqa: F403
from recommender_site.settings import REST_FRAMEWORK

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
THROTTLE_LOGIN = ""
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = dict.fromkeys(REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"])
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

LISTING_INDEX_DIR = ""  # each test has stock of its own
SERVED_LIST_THREAD = LISTING_INDEX_THREAD = False  # a thread has its own connection and sees no test's transaction

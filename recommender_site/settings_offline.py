"""The settings for what reads the code but talks to no server: the type checker, and the build of the image."""

import os

os.environ.setdefault("DATABASE_URL", "postgres://unused@nowhere/nothing")
os.environ.setdefault("REDIS_URL", "redis://nowhere")
os.environ.setdefault("CELERY_BROKER_URL", "redis://nowhere")
os.environ.setdefault("SECRET_KEY", "known to all, for it guards nothing")

from recommender_site.settings import *  # noqa: F403

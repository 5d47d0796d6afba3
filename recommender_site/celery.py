"""The Celery application. Tasks live in ``tasks/``; settings.CELERY_IMPORTS lists its modules."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")

app = Celery("forecourt")
app.config_from_object("django.conf:settings", namespace="CELERY")

"""Promotion and rollback in other processes than the one that orders them: two real ones, each with a window."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from recommendations.models import EventKind, RankerVersion
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker, retire_ranker, rollback_ranker
from tests.factories import BuyerFactory
from tests.markets import trained_market, view

# Asked on its standard input for a buyer's list, it answers with the version that made it and those it knew before.
SERVER = """
import json, sys
import django
django.setup()
from accounts.models import Buyer
from recommendations.buyers.preferences import current_preference
from recommendations.serving.lists import ListRequest, recommend
for line in sys.stdin:
    buyer = Buyer.objects.get(pk=int(line))
    answer = recommend(ListRequest(buyer=buyer, k=3))
    print(json.dumps([answer.version_id, current_preference(buyer).version_id, len(answer.items)]), flush=True)
"""


class Server:
    def __init__(self) -> None:
        database = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + connection.settings_dict["NAME"]
        environment = {
            **os.environ,
            "DATABASE_URL": database,
            "DJANGO_SETTINGS_MODULE": "recommender_site.settings_test",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            cwd=settings.BASE_DIR,
        )  # fmt: skip

    def ask(self, buyer_id: int) -> list[int]:
        print(buyer_id, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)


@pytest.fixture
def servers(transactional_db) -> Iterator[list[Server]]:
    """Two of them; what they read must be committed, so afterwards everything is removed."""
    EventKind.objects.get_or_create(slug="view", defaults={"name": "Opened", "weight": 1.0, "half_life_days": 30.0})
    started = [Server(), Server()]
    yield started
    for server in started:
        server.stop()
    for version in RankerVersion.objects.all():
        retire_ranker(version)  # a partition is a table of its own


def test_every_process_answers_from_the_new_version_a_second_after_promotion_and_rollback(servers):
    market = trained_market()
    first, buyer = market.version, BuyerFactory()
    view(buyer, *market.bmws[:3])
    assert [server.ask(buyer.pk) for server in servers] == [[first.pk, first.pk, 3]] * 2
    second = run_training(run_id=start_training(promote=False).pk)
    assert [server.ask(buyer.pk)[0] for server in servers] == [first.pk] * 2
    for order, answers in (
        (lambda: promote_ranker(version=second, note="a test of promotion"), second),
        (lambda: rollback_ranker(), first),
        (lambda: call_command("promote", str(second.pk), note="the same by command", verbosity=0), second),
        (lambda: call_command("rollback", verbosity=0), first),
    ):
        order()
        time.sleep(1)
        assert [server.ask(buyer.pk) for server in servers] == [[answers.pk, answers.pk, 3]] * 2

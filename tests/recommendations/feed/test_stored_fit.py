"""The row that holds the newest fit."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from scipy.sparse import csr_array

from recommendations.feed.fitting import write_fit
from recommendations.feed.memory import pack_model, read_fit
from recommendations.feed.model import FeedEvents, fit_feed
from recommendations.models import FeedFit

pytestmark = pytest.mark.django_db


def packed(n_items: int) -> bytes:
    users, items = np.repeat(np.arange(3), n_items), np.tile(np.arange(n_items), 3)
    events = FeedEvents(users, items, users, items, np.ones(len(users), np.int8), 3, n_items)
    return pack_model(fit_feed(events, csr_array((n_items, 0))), np.arange(n_items))


def test_a_fit_takes_the_place_of_the_one_before_under_a_higher_number():
    now = timezone.now()
    write_fit(packed(4), now, seconds=0.25, n_shown=12, n_actions=12)
    first = FeedFit.objects.get()
    assert (first.seconds, first.n_shown, first.n_actions, first.fitted_at) == (0.25, 12, 12, now)
    write_fit(packed(5), now - timedelta(hours=1))  # a clock that was set back; and figures that are not known
    second = FeedFit.objects.get()
    assert second.number == first.number + 1
    assert (second.seconds, second.n_shown, second.n_actions) == (0.25, 12, 12)
    number, arrays = read_fit(first.number)
    assert number == second.number
    assert len(arrays["means"]) == 5
    assert bytes(second.content) == packed(5)


def test_a_fit_is_not_compressed_by_the_database():
    n_items = 100
    write_fit(packed(n_items), timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_column_size(content), octet_length(content) FROM recommendations_feedfit")
        stored, sent = cursor.fetchone()
    assert stored == sent

"""Large questions about a buyer are planned once by a session of the server, and never behind PgBouncer."""

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from recommendations.buyers.lag import waited_for_the_loop
from recommendations.events.bots import mark_bursts
from recommendations.events.rows import (
    OF_ONE_BUYER,
    read_filters_of_lists,
    read_histories,
    read_queries,
    read_shown_beside,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("is_behind_pgbouncer", "n_planned"), [(False, 6), (True, 0)])
def test_questions_about_one_buyer_are_planned_once(settings, is_behind_pgbouncer, n_planned):
    connection.close()
    connection.close_pool()  # a session that has planned nothing
    settings.DATABASE_BEHIND_PGBOUNCER = is_behind_pgbouncer
    for ids in ([7], [2**40, 3], list(range(1, 20))):
        read_shown_beside(np.array(ids, np.int64), at_most=30)
        waited_for_the_loop(ids, version_id=ids[0])
        read_queries(np.array(ids, np.int64))
        read_filters_of_lists(np.array(ids, np.int64))
        read_histories(ids[:1], at_most=ids[0], kinds=["view"])
        mark_bursts(ids[:1], ids[0], timezone.now())
    of_many = np.arange(1, OF_ONE_BUYER + 2)
    read_shown_beside(of_many, at_most=30)
    read_queries(of_many)
    read_filters_of_lists(of_many)
    read_histories([1, 2], at_most=3, kinds=["view"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE NOT from_sql")
        assert len(cursor.fetchall()) == n_planned

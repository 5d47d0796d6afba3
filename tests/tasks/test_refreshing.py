"""An event that arrives while its buyer is brought up to date is not left to the next one."""

import pytest

from jobs.queue import taken_up
from recommendations.buyers import refresh
from tasks.recommendations import refresh_preferences_task
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory


@pytest.mark.django_db(transaction=True)
def test_an_event_after_the_log_was_read_sends_a_task_of_its_own(queued, monkeypatch):
    buyer, listing = BuyerFactory(), ListingFactory()
    bring_up_to_date = refresh.refresh_preferences

    def read_and_then_interrupted(buyer_id: int) -> None:
        bring_up_to_date(buyer_id=buyer_id)
        InteractionFactory(buyer=buyer, listing=listing)

    monkeypatch.setattr(refresh, "refresh_preferences", read_and_then_interrupted)
    for _ in range(2):
        InteractionFactory(buyer=buyer, listing=listing)
    task = ("recommendations.refresh_preferences", buyer.pk)
    assert queued.count(task) == 1
    refresh_preferences_task(buyer.pk)
    assert queued.count(task) == 2
    taken_up(*task)

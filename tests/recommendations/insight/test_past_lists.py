"""A list of the past is explained from its record, and its scores are taken apart as of then."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from recommendations.insight.past_lists import explained, live_at
from recommendations.models import MerchandisingRule, Placement, RankerVersion, ServedList
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import BuyerFactory, RankerVersionFactory, UserFactory
from tests.markets import view

pytestmark = pytest.mark.django_db


@pytest.fixture
def served(market_of_module, db, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    Placement.objects.update(exploration_positions=0, fresh_share=0)
    pin = MerchandisingRule.objects.create(
        name="First", action="pin", position=1, is_active=True, is_promoted=True, target={"makes": ["skoda"]}
    )
    assert pin.pk
    MerchandisingRule.objects.create(
        name="Up", action="boost", strength=10, is_active=True, target={"fuels": ["diesel"]}
    )
    buyer = BuyerFactory()
    view(buyer, *market_of_module.bmws[:3])
    recommend(ListRequest(buyer=buyer, k=5))
    return ServedList.objects.get(buyer=buyer)


def test_rules_labels_and_terms_are_those_of_the_record(served):
    rows = explained(served)
    assert [one.listing_id for one in rows] == served.listing_ids
    assert rows[0].rules == ("pinned by rule “First”",)
    assert [one.is_promoted for one in rows] == [True, False, False, False, False]
    assert all(one.rules == ("boosted by rule “Up”",) for one in rows[1:])
    for one in rows:
        assert one.is_exact
        assert sum(one.terms.values()) == pytest.approx(one.score, abs=0.01)


def test_the_page_of_the_list_says_so_and_works_when_its_version_is_gone(served, client):
    client.force_login(UserFactory(operator=True))
    page = reverse("admin:recommendations_servedlist_change", args=[served.pk])
    text = client.get(page).text
    assert "pinned by rule “First”" in text
    assert "Boosted by rule “Up”" in text
    RankerVersion.objects.filter(pk=served.version_id).update(status="retired")
    assert explained(served)[1].terms is None
    assert "pinned by rule “First”" in client.get(page).text


@pytest.mark.parametrize("promotions", ["a", "ab", "aba", "abab", "abc", "abca", "acb", "abcb", "abacab"])
def test_which_version_was_live_is_known_or_said_not_to_be(promotions):
    """One promotion a day, of versions that were there before the first; each keeps the day of its last one."""
    first = datetime(2026, 3, 1, tzinfo=UTC)
    made = {name: RankerVersionFactory(created_at=first - timedelta(days=1)) for name in set(promotions)}
    for day, name in enumerate(promotions):
        made[name].promoted_at = first + timedelta(days=day)
        made[name].save()
    assert live_at(first - timedelta(hours=1)) is None
    for day, name in enumerate(promotions):
        found = live_at(first + timedelta(days=day, hours=12))
        assert found == made[name].pk or (found is None and day < len(promotions) - 2)


def test_versions_that_came_later_leave_no_doubt_about_an_earlier_one():
    first = datetime(2026, 3, 1, tzinfo=UTC)
    days = [first + timedelta(days=day) for day in range(5)]
    made = [RankerVersionFactory(created_at=day, promoted_at=day) for day in days]
    assert [live_at(day + timedelta(hours=12)) for day in days] == [version.pk for version in made]

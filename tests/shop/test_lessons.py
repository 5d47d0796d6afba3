"""What the strip says was learned: of a search what it asked for, and nothing that only resembles it."""

import pytest

from recommendations.events.recording import Event
from shop.beliefs import asked_levels
from shop.lessons import learn
from tests.factories import BuyerFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db


def test_what_a_search_asked_for_by_field():
    query = {"bodies": ["estate"], "makes": ["skoda", "bmw"], "max_price": 9000}
    assert asked_levels(query) == {"body": frozenset({"estate"}), "make": frozenset({"skoda", "bmw"})}


def test_of_a_search_what_was_asked_for_is_liked_more_and_nothing_else():
    trained_market()
    lesson = learn(
        BuyerFactory(external=True), Event(kind="search", query={"makes": ["bmw"], "bodies": ["saloon"]}), "it"
    )
    assert lesson is not None
    liked = [change.level for change in lesson.changes if change.sign == "+"]
    assert liked
    assert set(liked) <= {"BMW", "Saloon"}
    assert lesson.changes[0].sign == "+"

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Listing
from tests.factories import BuyerFactory, InteractionFactory
from tests.markets import make_market


@pytest.fixture
def market():
    """Buyers of two kinds: each opens six cars of their kind before a day twenty days ago, and three after it."""
    market = make_market()
    Listing.objects.update(published_at=timezone.now() - timedelta(days=100))
    for number in range(12):
        cars = market.bmws if number % 2 else market.skodas
        buyer = BuyerFactory(external=True)
        for place in range(9):
            days = 40 - place if place < 6 else 19 - place
            when = timezone.now() - timedelta(days=days, minutes=number)
            InteractionFactory(buyer=buyer, listing=cars[(number + place) % len(cars)], occurred_at=when)
    return market

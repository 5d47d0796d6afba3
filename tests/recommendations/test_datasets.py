import pytest

from catalog.models import Listing
from recommendations.datasets import read_listings
from tests.factories import ListingFactory, MakeFactory

pytestmark = pytest.mark.django_db


def test_a_listing_has_the_same_name_as_a_row_and_in_an_array():
    ListingFactory(title="A fine car")
    ListingFactory(title="")
    ListingFactory(title="", car_model=None, make=MakeFactory(name="Lada"))
    ListingFactory(bare=True)
    by_id = {listing.pk: listing.name for listing in Listing.objects.select_related("make", "car_model__make")}
    rows = read_listings(Listing.objects.all())
    assert dict(zip(rows.listing_ids.tolist(), rows.names.tolist(), strict=True)) == by_id

import pytest

from catalog.filters import ListingFilters
from catalog.folding import MARKED, PLAIN, fold, folded
from catalog.models import Listing
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", Listing.Status.values)
def test_available_means_the_same_for_a_row_and_for_a_queryset(status):
    listing = ListingFactory(**({} if status == "live" else {status: True}))
    assert Listing.objects.available().contains(listing) is listing.is_available


def test_a_listing_that_lacks_an_attribute_does_not_match_a_filter_on_it():
    ListingFactory(bare=True)
    assert not Listing.objects.matching(ListingFilters(min_price=1)).exists()
    assert not Listing.objects.matching(ListingFilters(makes=("skoda",))).exists()


def test_a_circle_around_a_place_reaches_across_the_date_line():
    near = ListingFactory(latitude=-17.8, longitude=-179.9)  # Fiji lies on both sides of it
    ListingFactory(latitude=51.5, longitude=0.1)
    found = Listing.objects.matching(ListingFilters(latitude=-17.8, longitude=179.9, radius_km=50))
    assert [listing.pk for listing in found] == [near.pk]
    assert found[0].distance_km == pytest.approx(21.2, abs=0.2)


@pytest.mark.parametrize("asked", ["citroen", "Citroën", "CITROËN", "citroe\u0308n"])
def test_a_search_finds_words_with_and_without_their_marks(asked: str):
    marked, plain = ListingFactory(title="Citroën C3 1.2"), ListingFactory(title="Citroen C4")
    ListingFactory(title="Skoda Citigo")
    found = Listing.objects.available().matching(ListingFilters(text=asked))
    assert set(found) == {marked, plain}


def test_letters_lose_their_marks_alike_in_python_and_in_postgresql():
    listing = ListingFactory(description=MARKED)
    plain_text = Listing.objects.annotate(plain=folded("description")).get(pk=listing.pk).plain
    assert plain_text == fold(MARKED) == PLAIN
    assert fold("Łódź, Škoda, Straße") == "Lodz, Skoda, Straße"

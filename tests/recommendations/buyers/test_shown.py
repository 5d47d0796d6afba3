"""How often cars were shown, kept between two lists, is what the database counts anew each time."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Buyer
from accounts.services import erase_person, merge_guest
from catalog.models import Listing
from recommendations.buyers.exclusions import FREQUENCY_CAP_DAYS, frequency_capped_listings
from recommendations.buyers.shown import Shown, read_shown
from recommendations.listings.cars import KeptCars, keys_of, learn_cars
from recommendations.models import Impression, Placement, ServedList
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, tzinfo=UTC)


class Site:
    """Buyers, cars, and two processes that each keep what they read; one hears of changes of listings late."""

    def __init__(self, seed: int) -> None:
        self.rng, self.now = random.Random(seed), START
        self.buyers = [BuyerFactory(guest=True), BuyerFactory()]
        self.placement = Placement.objects.get(slug="home")
        self.listing_ids = [ListingFactory(fingerprint=f"car {n // 2}" if n < 6 else "").pk for n in range(9)]
        self.processes: list[tuple[KeptCars, dict[int, Shown]]] = [(KeptCars(), {}), (KeptCars(), {})]
        self.n_impressions = 0

    @property
    def buyer(self) -> Buyer:
        return self.rng.choice(self.buyers)

    def listing(self) -> Listing | None:
        return Listing.objects.filter(pk=self.rng.choice(self.listing_ids)).first()

    def serve(self, *, days_ago: float = 0.0) -> None:
        shown = self.rng.choices(self.listing_ids, k=self.rng.randint(0, 5))
        served_at = self.now - timedelta(days=days_ago)
        placement = self.rng.choice([self.placement, None])
        ServedListFactory(buyer=self.buyer, listing_ids=shown, served_at=served_at, placement=placement)

    def serve_the_same_again(self) -> None:
        """As similar cars are: the same list, with its id, a moment later."""
        self.now += timedelta(milliseconds=1)
        if served := ServedList.objects.filter(buyer=self.buyer).first():
            ServedListFactory(
                pk=served.pk, buyer=served.buyer, listing_ids=served.listing_ids, served_at=self.now, placement=None
            )

    def serve_late(self) -> None:
        """A list that was written long after it was served; perhaps one that is about to be too old, or is ahead."""
        self.serve(days_ago=self.rng.choice([0.0001, 1.0, FREQUENCY_CAP_DAYS - 0.5, FREQUENCY_CAP_DAYS, -0.5]))

    def wait(self) -> None:
        self.now += timedelta(days=self.rng.choice([0.00001, 0.5, 5.0]))

    def remove_a_list(self) -> None:
        ServedList.objects.filter(pk=ServedList.objects.order_by("?").values_list("pk", flat=True).first()).delete()

    def move_lists(self) -> None:
        ServedList.objects.filter(buyer=self.buyers[0]).update(buyer=self.buyers[1])

    def merge(self) -> None:
        if not self.buyers[0].merged_into_id:
            merge_guest(guest=self.buyers[0], into=self.buyers[1])
            self.buyers[0] = BuyerFactory(guest=True)

    def erase(self) -> None:
        erase_person(buyer=self.buyers[0])
        self.buyers[0] = BuyerFactory(guest=True)

    def relist(self) -> None:
        self.listing_ids.append(ListingFactory(fingerprint=f"car {self.rng.randint(0, 4)}").pk)
        self.note(self.listing_ids[-1])

    def find_out_which_car(self) -> None:
        if listing := self.listing():
            fingerprint = self.rng.choice(["", "car 0", "car 1", f"car {self.rng.randint(2, 9)}"])
            Listing.objects.filter(pk=listing.pk).update(fingerprint=fingerprint)
            self.note(listing.pk)

    def change_a_price(self) -> None:
        if listing := self.listing():
            Listing.objects.filter(pk=listing.pk).update(price=self.rng.randint(1000, 9000))
            self.note(listing.pk)

    def delete_a_listing(self) -> None:
        if listing := self.listing():
            Listing.objects.filter(pk=listing.pk).delete()
            self.note(listing.pk)

    def see(self) -> None:
        for served in ServedList.objects.filter(buyer=self.buyer)[:3]:
            self.n_impressions += 1
            Impression.objects.create(
                event_id=f"i{self.n_impressions}", sender="s", content_digest=0, buyer=served.buyer, served_list=served,
                positions=self.rng.sample(range(1, 6), 2), occurred_at=self.now,
            )  # fmt: skip

    def act(self) -> None:
        served = ServedList.objects.filter(buyer=self.buyer).first()
        if served and served.listing_ids and Listing.objects.filter(pk=served.listing_ids[0]).exists():
            InteractionFactory(
                buyer=served.buyer, listing_id=served.listing_ids[0], served_list=served, occurred_at=self.now
            )

    def count_by_what_was_seen(self) -> None:
        since = self.rng.choice([None, self.now - timedelta(days=1), START])
        Placement.objects.filter(pk=self.placement.pk).update(impressions_since=since)

    def note(self, *listing_ids: int) -> None:
        """As updates of the index do."""
        for cars, _ in self.processes:
            cars.note(listing_ids, keys_of(listing_ids))

    def assert_alike(self) -> None:
        cars, kept = self.rng.choice(self.processes)
        for buyer in self.buyers:
            shown = kept[buyer.pk] = read_shown(buyer.pk, self.now, cars, kept.get(buyer.pk))
            for times in (0, 1, 2, 3, 6):
                assert shown.listings_shown(times) == frequency_capped_listings(buyer, times, self.now), times


@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_equals_what_is_counted_anew_whatever_happens_in_between(seed):
    site = Site(seed)
    happenings = [
        site.remove_a_list, site.move_lists, site.merge, site.erase, site.relist, site.find_out_which_car,
        site.change_a_price, site.delete_a_listing, site.see, site.act, site.count_by_what_was_seen, site.serve_late,
        site.serve_the_same_again, site.wait, site.wait, *[site.serve] * 14,
    ]  # fmt: skip
    for number in range(100):
        happening = site.rng.choice(happenings)
        happening()
        try:
            site.assert_alike()
        except AssertionError as error:
            raise AssertionError(f"step {number}, after {happening.__name__}") from error
    assert any(shown.n_by_car for _, kept in site.processes for shown in kept.values())


def test_lists_that_are_known_are_not_sent_again():
    buyer, cars = BuyerFactory(), KeptCars()
    listing_ids = [ListingFactory().pk for _ in range(3)]
    for minutes in range(50):
        ServedListFactory(buyer=buyer, listing_ids=listing_ids, served_at=START + timedelta(minutes=minutes))
    now = START + timedelta(hours=1)
    kept = read_shown(buyer.pk, now, cars)
    assert set(kept.n_by_car.values()) == {50}
    ServedListFactory(buyer=buyer, listing_ids=listing_ids[:1], served_at=now)
    with CaptureQueriesContext(connection) as captured:
        again = read_shown(buyer.pk, now, cars, kept)
    assert len(captured) == 1
    kept_ids = {id(each) for each in kept.lists.by_key.values()}
    assert [id(each) in kept_ids for each in again.lists.by_key.values()] == [True] * 50 + [False]
    assert again.listings_shown(51) == {listing_ids[0]}


def test_a_relisted_car_is_one_car_as_soon_as_the_index_has_heard_of_it():
    one, other = ListingFactory(fingerprint="a car").pk, ListingFactory().pk
    cars = KeptCars()
    learn_cars(cars, [one, other])
    relisted = ListingFactory(fingerprint="a car").pk
    generation = cars.generation
    cars.note([relisted], keys_of([relisted]))
    _, sums, unknown = cars.count({one: 2, relisted: 3, other: 1})
    assert {tuple(sorted(car.listing_ids)): n for car, n in sums.items()} == {(one, relisted): 5, (other,): 1}
    assert (unknown, cars.generation) == (set(), generation)


def test_what_was_asked_before_a_change_was_noted_is_not_kept():
    listing = ListingFactory()
    cars = KeptCars()
    n_noted = cars.n_noted
    cars.note([listing.pk], {listing.pk: "f another car"})
    assert not cars.learn([listing.pk], [(listing.pk, "", [])], n_noted)
    assert cars.count({listing.pk: 1})[2] == {listing.pk}

"""The taste map as data: where cars lie, what is said of them, and a buyer drawn in."""

import numpy as np
import pytest
from django.utils import timezone

from recommendations.exceptions import RankerRefused
from recommendations.insight.map_labels import Car, Compass, Facts, areas_of, by_name, grouped, in_price_bands, sides_of
from recommendations.insight.maps import run_map, start_map
from recommendations.insight.taste_map import picture
from recommendations.listings.index import drop_index
from recommendations.models import Interaction, Preference, ServedList
from tests.factories import BuyerFactory, ListingFactory, RankerVersionFactory
from tests.markets import trained_market, view

DATABASE = pytest.mark.django_db


def middle_of(cars: list[Car], make: str) -> np.ndarray:
    return np.mean([(car.x, car.y) for car in cars if make in car.name], axis=0)


# --- The picture -----------------------------------------------------------------------------------------------------
@DATABASE
def test_every_car_for_sale_lies_on_the_map_and_the_two_kinds_apart():
    market = trained_market()
    ListingFactory(sold=True)
    found = picture(colour="make")
    assert {car.listing_id for car in found.cars} == {car.pk for car in market.skodas + market.bmws}
    assert found.groups == [("BMW", 15, False), ("Skoda", 15, False)] or found.groups == [
        ("Skoda", 15, False), ("BMW", 15, False),
    ]  # fmt: skip
    skodas = [car for car in found.cars if found.groups[car.group].label == "Skoda"]
    bmws = [car for car in found.cars if found.groups[car.group].label == "BMW"]
    assert max(car.x for car in skodas) < min(car.x for car in bmws) or max(car.x for car in bmws) < min(
        car.x for car in skodas
    )
    assert 0.5 < sum(found.shares) <= 1


@DATABASE
def test_the_sides_are_named_after_what_the_cars_there_are():
    trained_market()
    found = picture(colour="make")
    assert {found.sides["left"], found.sides["right"]} <= {
        "cheap", "expensive", "old", "new", "low mileage", "high mileage", "weak", "powerful",
    }  # fmt: skip
    assert found.sides["left"] != found.sides["right"]


@DATABASE
def test_the_arrow_of_a_buyer_points_to_the_kind_they_look_at_and_their_list_lies_there():
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:6])
    found = picture(colour="taste", buyer=buyer)
    coordinates = {car.listing_id: np.array([car.x, car.y]) for car in found.cars}
    bmws = np.mean([coordinates[car.pk] for car in market.bmws], axis=0)
    skodas = np.mean([coordinates[car.pk] for car in market.skodas], axis=0)
    (pull,) = found.pulls
    assert (bmws - skodas) @ [pull.x, pull.y] > 0
    assert 0 < pull.share <= 1
    assert found.is_personal
    assert [one.item.position for one in found.listed] == list(range(1, len(found.listed) + 1))
    assert all(one.is_drawn for one in found.listed)
    assert found.groups[-1].label == "most to their taste"
    most = {car.listing_id for car in found.cars if car.group == len(found.groups) - 1}
    assert most <= {car.pk for car in market.bmws}


@DATABASE
def test_a_cold_buyer_has_a_list_and_no_direction():
    trained_market()
    found = picture(colour="make", buyer=BuyerFactory())
    assert found.listed
    assert (found.pulls, found.is_personal) == ([], False)


@DATABASE
def test_looking_at_the_map_stores_nothing():
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.skodas[:3])
    before = [model.objects.count() for model in (Interaction, ServedList, Preference)]
    picture(colour="make", buyer=buyer)
    assert [model.objects.count() for model in (Interaction, ServedList, Preference)] == before


@DATABASE
def test_by_status_the_reserved_and_the_lately_sold_are_drawn_too():
    market = trained_market()
    sold = market.skodas[0]
    type(sold).objects.filter(pk=sold.pk).update(status="reserved")
    drop_index()
    assert sold.pk not in {car.listing_id for car in picture(colour="make").cars}
    found = picture(colour="status")
    assert sold.pk in {car.listing_id for car in found.cars}
    assert [(group.label, group.n) for group in found.groups] == [("Live", 29), ("Reserved", 1)]
    (reserved,) = [car for car in found.cars if car.listing_id == sold.pk]
    assert reserved.facts.endswith("reserved")


@DATABASE
def test_a_stored_map_shows_the_cars_that_are_still_for_sale_where_they_were_put():
    market = trained_market()
    drawn = run_map(map_id=start_map().pk)
    sold = market.skodas[0]
    type(sold).objects.filter(pk=sold.pk).update(status="sold", ended_at=timezone.now())
    drop_index()  # it was read a second ago
    found = picture(colour="make", drawn=drawn)
    assert (len(found.cars), found.n_stock, found.shares) == (29, 30, [])
    assert sold.pk not in {car.listing_id for car in found.cars}


@DATABASE
def test_a_listed_car_that_a_stored_map_lacks_stands_between_its_like():
    market = trained_market()
    drawn = run_map(map_id=start_map().pk)
    buyer = BuyerFactory()
    newcomer = ListingFactory(car_model=market.bmws[0].car_model, price=31_000, mileage_km=15_000, year=2022,
                              body="saloon", fuel="diesel", gearbox="automatic", power_kw=180)  # fmt: skip
    view(buyer, *market.bmws[:6])
    drop_index()
    found = picture(colour="make", drawn=drawn, buyer=buyer)
    (placed,) = [one for one in found.listed if one.item.listing.pk == newcomer.pk]
    coordinates = {car.listing_id: np.array([car.x, car.y]) for car in found.cars}
    from_bmws = np.linalg.norm(np.mean([coordinates[car.pk] for car in market.bmws], axis=0) - [placed.x, placed.y])
    from_skodas = np.linalg.norm(np.mean([coordinates[car.pk] for car in market.skodas], axis=0) - [placed.x, placed.y])
    assert not placed.is_drawn
    assert from_bmws < from_skodas


@DATABASE
def test_without_a_live_ranker_there_is_no_map():
    RankerVersionFactory()
    with pytest.raises(RankerRefused):
        picture(colour="make")


@DATABASE
def test_a_stock_that_is_sold_out_makes_an_empty_picture():
    market = trained_market()
    type(market.skodas[0]).objects.update(status="withdrawn", ended_at=timezone.now())
    drop_index()
    found = picture(colour="make")
    assert (found.cars, found.areas, found.groups, found.n_stock) == ([], [], [], 0)


# --- Groups ----------------------------------------------------------------------------------------------------------
def test_rare_names_share_a_group_and_so_do_the_unknown():
    labels = [*"aaabbccddeeffgghhi", ""]
    groups, codes = by_name(labels)
    assert [group.label for group in groups] == [*"abcdefgh", "Other", "Not given"]
    assert [group.n for group in groups] == [3, 2, 2, 2, 2, 2, 2, 2, 1, 1]
    assert [group.is_rest for group in groups[-3:]] == [False, True, True]
    assert codes[-2:].tolist() == [8, 9]


def test_price_bands_have_round_ends_and_every_car_its_band():
    groups, codes = in_price_bands(np.array([1_000.0, 4_980.0, 12_345.0, 20_001.0, 99_000.0, np.nan]))
    assert [group.label for group in groups][-1] == "Not given"
    assert sum(group.n for group in groups) == 6
    assert groups[0].label == "under £4,200"
    assert codes.tolist() == sorted(codes.tolist())


def test_prices_that_are_unknown_or_all_alike_make_groups_too():
    groups, _ = in_price_bands(np.array([np.nan, np.nan]))
    assert [(group.label, group.n) for group in groups] == [("any price", 0), ("Not given", 2)]
    groups, _ = in_price_bands(np.array([500.0, 500.0]))
    assert [(group.label, group.n) for group in groups] == [("under £500", 0), ("from £500", 2)]


def test_taste_has_as_many_cars_in_each_band():
    groups, codes = grouped("taste", [Facts(n) for n in range(10)], np.arange(10.0)[::-1])
    assert [group.n for group in groups] == [2] * 5
    assert codes.tolist() == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


# --- The map in words ------------------------------------------------------------------------------------------------
def test_a_side_is_named_only_where_the_cars_there_differ():
    facts = [Facts(n, price=1_000.0 * (n + 1), year=2020) for n in range(9)]
    sides = sides_of(np.array([(float(n), (0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0)[n]) for n in range(9)]), facts)
    assert (sides["left"], sides["right"]) == ("cheap", "expensive")
    assert (sides["bottom"], sides["top"]) == ("", "")


def test_the_areas_hold_every_car_once_and_name_the_commonest():
    cars = [Car(n, f"car {n}", "", float(n % 3), float(n // 3), 0) for n in range(9)]
    facts = [Facts(n, "live", make="Skoda" if n else "BMW", body="suv", price=100.0 * n) for n in range(9)]
    areas = areas_of(cars, facts)
    assert sum(area.n for area in areas) == 9
    by_name_of_area = {area.name: area for area in areas}
    assert by_name_of_area["bottom left"].makes == [("BMW", 1)]
    assert by_name_of_area["top right"].typical.listing_id == 8
    assert by_name_of_area["top right"].median_price == 800.0
    assert Compass(cars).name(2.0, 0.0) == "bottom right"
    assert areas_of([], []) == []

"""What an earlier release stored, or a hand in the database, stops no batch and no read: it is left out and counted."""

from contextlib import contextmanager

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.services import create_api_key, export_person
from catalog.filters import ListingFilters
from catalog.imports.reading import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import ImportProblem, Listing
from jobs.isolation import LEFT_OUT, each_that_works
from recommendations.buyers.preferences import current_preference
from recommendations.buyers.refresh import refresh_stale_preferences, renew_preferences
from recommendations.listings.embedding import embed_listings, embed_missing_listings
from recommendations.listings.index import borrow_index, drop_index
from recommendations.merchandising.rules import forget_rules
from recommendations.models import Interaction, ListingVector, MerchandisingRule, Placement, Preference, SavedSearch
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.similar import similar_listings
from recommendations.training.runs import run_training, start_training
from tests.factories import BuyerFactory, ListingFactory, PlacementFactory, UserFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db
ODD_QUERIES = [
    5, "skoda", [1, [2]], True, {"makes": 5}, {"makes": [{}, None, 3]}, {"makes": {"a": 1}}, {"bodies": None},
    {"min_price": "cheap"}, {"max_price": [1]}, {"max_price": 1e300}, {"min_year": 10**30, "max_year": -1},
    {"min_year": True}, {"latitude": "north", "longitude": 1, "radius_km": 2}, {"text": "-" * 40}, {"text": 5},
    {"text": "x" * 100_000}, {"text": '-"' * 99}, {"use": []}, {"use": {"a": 1}}, {"tags": [["a"]]}, {"nothing": {}},
    {"latitude": 1e9, "longitude": -1e9, "radius_km": -5}, {"makes": "bmw"}, {"fuels": ["x" * 9_000]},
]  # fmt: skip


@contextmanager
def refusing(table: str, condition: str):
    """The database refuses some rows of a table, as it would for a reason that the code does not foresee."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no such row' USING ERRCODE = '22000'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} "
            f"FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION pg_temp.refuse()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER refuse ON {table}")
        cursor.execute("DROP FUNCTION pg_temp.refuse()")


def left_out(batch: str) -> float:
    return LEFT_OUT.labels(batch)._value.get()


def searched(buyer, query) -> None:
    now = timezone.now()
    Interaction.objects.create(
        event_id=f"odd-{Interaction.objects.count()}", buyer=buyer, kind_id="search", query=query, occurred_at=now
    )


# --- Searches, answers, rules ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("query", ODD_QUERIES, ids=lambda query: str(query)[:30])
def test_any_stored_query_is_read_as_filters(query):
    filters = ListingFilters.from_query(query)
    assert Listing.objects.matching(filters).count() == 0
    assert ListingFilters.from_query(filters.as_query()) == filters


def test_odd_searches_and_answers_stop_no_list():
    market = trained_market(5)
    PlacementFactory()
    buyers = []
    for query in ODD_QUERIES:
        buyer = BuyerFactory(external=True, questionnaire=query)
        view(buyer, market.bmws[0])
        searched(buyer, query)
        SavedSearch.objects.create(buyer=buyer, name="odd", query=query)
        buyers.append(buyer)
    assert refresh_stale_preferences() >= len(buyers)
    client = Client(headers={"X-Api-Key": create_api_key(name="shop", scopes=["admin"], created_by=None)[1]})
    for buyer in buyers:
        assert len(recommend(ListRequest(buyer=buyer, k=3)).items) == 3, buyer.questionnaire
        assert export_person(buyer=buyer)["events"]
        for path in ("cars/recommendations", "users/me/preferences", "users/me/export", "users/me/privacy"):
            answer = client.get(f"/api/v1/{path}?buyer={buyer.external_id}")
            assert answer.status_code == 200, (path, buyer.questionnaire)
    version = run_training(run_id=start_training(parameters={"prior_buyers": 50}).pk)
    assert version.status in ("ready", "live")
    renew_preferences(version_id=market.version.pk)


@pytest.mark.parametrize("query", ODD_QUERIES, ids=lambda query: str(query)[:30])
def test_odd_rules_of_a_placement_stop_no_list(query):
    trained_market(3)
    Placement.objects.update_or_create(slug="home", defaults={"name": "Home", "filters": query})
    recommend(ListRequest(buyer=None, k=3, placement="home"))


def test_odd_merchandising_rules_stop_no_list():
    market = trained_market(3)
    BuyerFactory(external=True, external_id="odd")
    for number, query in enumerate(ODD_QUERIES):
        for action in MerchandisingRule.Action.values:
            MerchandisingRule.objects.create(
                name=f"{action} {number}", action=action, position=1, strength=7, share=50, target=query,
                interest=query, audience=("all", "interested", "cold")[number % 3],
            )  # fmt: skip
    MerchandisingRule.objects.filter(name="boost 0").update(action="nonsense", audience="nonsense", holdout=900)
    forget_rules()
    client = Client(headers={"X-Api-Key": create_api_key(name="a client", scopes=["admin"], created_by=None)[1]})
    for path in ("recommendations?", "recommendations?buyer=odd", f"{market.bmws[0].pk}/similar?"):
        answer = client.get(f"/api/v1/cars/{path}&k=3")
        assert answer.status_code == 200, path
    operator = Client()
    operator.force_login(UserFactory(operator=True))
    assert operator.get("/shop/").status_code == 200
    for page in ("merchandisingrule", "servedlist"):
        assert operator.get(f"/admin/recommendations/{page}/").status_code == 200
    for rule in MerchandisingRule.objects.all()[::9]:
        assert operator.get(f"/admin/recommendations/merchandisingrule/{rule.pk}/change/").status_code == 200, rule


# --- Buyers ----------------------------------------------------------------------------------------------------------
def test_a_buyer_who_cannot_be_computed_on_stops_no_other():
    market = trained_market(5)
    first, odd, last = (BuyerFactory(external=True) for _ in range(3))
    for buyer in (first, odd, last):
        view(buyer, market.skodas[0])
    before = left_out("preferences")
    with refusing("recommendations_preference", f"NEW.buyer_id = {odd.pk}"):
        refresh_stale_preferences()
        renew_preferences(version_id=market.version.pk)
        assert current_preference(odd) is None
        assert len(recommend(ListRequest(buyer=odd, k=3)).items) == 3
    assert set(Preference.objects.filter(buyer__in=[first, odd, last]).values_list("buyer", flat=True)) == {
        first.pk, last.pk,
    }  # fmt: skip
    assert left_out("preferences") > before
    assert current_preference(odd) is not None


@pytest.mark.parametrize("tastes", [b"\x01\x03\0\0\0\0", b"\x01", b"\xff" * 50, b"\x01\xff" + b"\0" * 600])
def test_packed_tastes_that_cannot_be_unpacked_are_none(tastes):
    market = trained_market(5)
    buyer = BuyerFactory(external=True)
    view(buyer, market.skodas[0])
    current_preference(buyer)
    Preference.objects.filter(buyer=buyer).update(tastes=tastes)
    assert len(recommend(ListRequest(buyer=buyer, k=3)).items) == 3
    view(buyer, market.skodas[1])
    assert current_preference(buyer).n_interactions == 2


# --- Listings --------------------------------------------------------------------------------------------------------
def odd_listings() -> list[Listing]:
    listings = [ListingFactory(title="-" * 40, tags=["", "-" * 40, "'"], colour="x" * 30) for _ in range(3)]
    with connection.cursor() as cursor:
        for listing, number in zip(listings, ("NaN", "Infinity", "-Infinity"), strict=True):
            cursor.execute(
                "UPDATE catalog_listing SET engine_l = %s, consumption_l_100km = %s WHERE id = %s",
                [number, number, listing.pk],
            )
        cursor.execute("UPDATE catalog_listing SET price = 'NaN' WHERE id = %s", [listings[0].pk])
    return listings


def test_numbers_that_are_none_are_unknown_everywhere():
    market = trained_market(5)
    odd = odd_listings()
    assert embed_listings([listing.pk for listing in odd]) == len(odd)
    drop_index()
    client = Client()
    client.force_login(UserFactory())
    assert len(recommend(ListRequest(buyer=None, k=20)).items) >= 10
    assert similar_listings(odd[0], 3)
    paths = ["search?page_size=100", "search?ordering=price", "search?max_price=99999", "recommendations?k=50",
             f"{market.skodas[0].pk}/similar?k=50"]  # fmt: skip
    for path in [*paths, *(f"detail/{listing.pk}" for listing in odd)]:
        assert client.get(f"/api/v1/cars/{path}").status_code == 200, path
    run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)


def test_a_listing_whose_vector_cannot_be_stored_costs_no_other_its_own():
    market = trained_market(3)
    listings = [ListingFactory() for _ in range(5)]
    ListingVector.objects.filter(listing_id__in=[listing.pk for listing in listings]).delete()
    with refusing("recommendations_listingvector", f"NEW.listing_id = {listings[2].pk}"):
        assert embed_missing_listings() == 4
    stored = set(ListingVector.objects.of(market.version).values_list("listing_id", flat=True))
    assert {listing.pk in stored for listing in listings[:2] + listings[3:]} == {True}
    assert listings[2].pk not in stored


def test_a_listing_that_memory_cannot_take_in_is_left_out_of_it(monkeypatch):
    """Numbers that no release should store; here the ranker refuses them, as an encoder of another release might."""
    market = trained_market(3)
    odd = ListingFactory(year=1885)
    ranker_type = type(load_live(market))
    encode = ranker_type.vectors

    def refuse_the_first_year(ranker, table):
        if (table.year == 1885).any():
            raise ValueError("a year before its time")
        return encode(ranker, table)

    monkeypatch.setattr(ranker_type, "vectors", refuse_the_first_year)
    drop_index()
    listed = {item.listing.pk for item in recommend(ListRequest(buyer=None, k=50)).items}
    assert listed == {listing.pk for listing in market.skodas + market.bmws}
    assert odd.pk not in listed


def load_live(market):
    with borrow_index() as listing_index:
        return listing_index.ranker


# --- Imports ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_dry_run", [False, True])
def test_a_row_that_the_database_refuses_costs_the_import_that_row(tmp_path, is_dry_run):
    rows = "\n".join(f"{n},Ford,Focus {n},2015,{8000 + n}" for n in range(20))
    path = tmp_path / "cars.csv"
    path.write_text(f"id,make,model,year,price\n{rows}\n3,Ford,Focus 3,2015,8003\n")
    with refusing("catalog_listing", "NEW.external_id = '7'"):
        run = import_listings(path=path, options=ImportOptions(source="shop", is_dry_run=is_dry_run))
    assert (run.status, run.listings_created, run.rows_refused, run.rows_repeated) == ("done", 19, 1, 1)
    assert Listing.objects.filter(source="shop").count() == (0 if is_dry_run else 19)
    problem = ImportProblem.objects.get(run=run, is_fatal=True)
    assert (problem.row_number, "no such row" in problem.reason) == (8, True)


# --- The rule itself -------------------------------------------------------------------------------------------------
def test_only_the_rows_at_fault_are_left_out():
    def doubled(numbers):
        if 13 in numbers or 77 in numbers:
            raise ValueError("unlucky")
        return [2 * number for number in numbers]

    before = left_out("numbers")
    assert each_that_works(range(100), doubled, batch="numbers") == [2 * n for n in range(100) if n not in (13, 77)]
    assert left_out("numbers") == before + 2
    assert each_that_works([], doubled, batch="numbers") == []


def test_a_fault_that_is_not_of_the_rows_stops_the_batch():
    def away(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        each_that_works(range(4), away, batch="numbers")

"""A site on which one attribute of each kind, a source, a score term and a metric are declared, each in its one place.

``tests/test_declarations.py`` runs this in a process of its own, since what is declared is read when modules are
imported. Each declaration is put into the text of its module before that, as if it stood in the file. The columns are
added inside a transaction that is rolled back. What the site then does goes to the standard output as JSON.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
ATTRIBUTES = """
    Number(
        name="range", column="range_km", label="Electric range", kind="count", unit="km", is_filtered=True,
        strength=0.3, likeness=0.5, headings="electric range, reichweite", aside=Aside("with a long range", 1.1),
        is_on_card=True,
    ),
    Category(
        name="emissions", label="Emission class", filter="emission_classes", strength=0.3, likeness=0.3,
        headings="emission class, schadstoffklasse",
        choices=(
            Choice("high", "High emission", "high-emission cars", words="high-emission"),
            Choice("low", "Low emission", "low-emission cars", words="low-emission ulez"),
        ),
    ),
"""
SOURCE = '''
class OddSource(Source):
    """Cars with an odd id, in the order of the ids."""

    name, share = "odd", 0.5

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.MATCH, says="Its id is odd")

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        ids = context.listing_index.stock.listing_ids[context.allowed]
        return np.sort(ids[ids % 2 == 1])[:n]


'''
TERM = """
    Term(
        name="north", label="How far north it stands", weight=0.5,
        of_buyer=lambda ranker, listings, buyer, rows: listings.latitude[rows],
        reason=lambda facts, is_personal: Reason(Kind.MATCH, says="It stands far north"),
    ),
"""
METRIC = """
    Metric("first hit", QUALITY, "whether the first one is a hit", is_sliced=True,
           of_hits=lambda hits, k: hits.at[:, 0].astype(float)),
"""
CHANGES = {  # module -> texts, and what stands before each of them
    "catalog.attributes": [(")  # fmt: skip\n\nBY_NAME", ATTRIBUTES)],
    "recommendations.serving.sources": [
        ("# The most informative first", SOURCE),
        (")\n\nDEFAULT_SHARES", "    OddSource(),\n"),
    ],
    "recommendations.engine.score_terms": [(")  # fmt: skip\nTERMS", TERM)],
    "recommendations.metrics.figures": [("    Metric(COVERAGE", METRIC)],
}
FILE = """id;make;model;title;price;year;fuel;Electric range (km);Emission class
1;Skoda;Octavia;Octavia one;9000;2019;petrol;420 km;ULEZ
2;Skoda;Octavia;Octavia two;9500;2018;petrol;150;high emission
3;Skoda;Octavia;Octavia three;9700;2017;petrol;;
"""


class Declaring(importlib.abc.MetaPathFinder):
    """Imports the modules of ``CHANGES`` with the declarations in their texts."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in CHANGES:
            return None
        file = PROJECT / f"{fullname.replace('.', '/')}.py"
        return importlib.util.spec_from_file_location(fullname, file, loader=Changed(fullname, str(file)))


class Changed(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        source = Path(self.path).read_text()
        for marker, text in CHANGES[fullname]:
            assert source.count(marker) == 1, f"{fullname} has {source.count(marker)} times {marker!r}"
            source = source.replace(marker, text.lstrip("\n") + marker)
        return compile(source, self.path, "exec", dont_inherit=True)


def observe() -> dict[str, Any]:
    """What a site with the declarations does."""
    from django.db import connection, transaction

    seen: dict[str, Any] = {}
    with transaction.atomic():
        add_columns(connection)
        import_and_ask(seen)
        look_at_admin(seen)
        learn_and_serve(seen)
        transaction.set_rollback(True)
    return seen


def add_columns(connection: Any) -> None:
    from catalog.models import Listing

    with connection.schema_editor() as editor:
        for column in ("range_km", "emissions"):
            editor.add_field(Listing, Listing._meta.get_field(column))


def import_and_ask(seen: dict[str, Any]) -> None:
    from rest_framework.test import APIClient

    from accounts.services import create_api_key
    from catalog.export import HEADINGS, exported_rows
    from catalog.filters import ListingFilters
    from catalog.imports.reading import ImportOptions
    from catalog.imports.store import import_listings
    from catalog.models import Listing

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cars.csv"
        path.write_text(FILE)
        import_listings(path=path, options=ImportOptions(source="garage"))
    stored = Listing.objects.filter(source="garage").order_by("external_id")
    seen["imported"] = list(stored.values_list("external_id", "range_km", "emissions"))
    exported = [dict(zip(HEADINGS, row, strict=True)) for row in exported_rows(stored)]
    seen["exported"] = [[row["range_km"], row["emissions"]] for row in exported]

    client = APIClient()
    client.credentials(HTTP_X_API_KEY=create_api_key(name="a garage", scopes=["read", "ingest"], created_by=None)[1])
    found = {query: client.get(f"/api/v1/cars/search?{query}").json() for query in QUERIES}
    seen["found"] = {query: sorted(car["external_id"] for car in answer["listings"]) for query, answer in found.items()}
    seen["card"] = [car["range_km"] for car in found["min_range=400"]["listings"]]
    seen["page"] = client.get(f"/api/v1/cars/detail/{stored[0].pk}").json().get("emissions")
    row = {"external_id": "4", "title": "One more", "price": 5_000, "range_km": 300, "emissions": "ULEZ"}
    client.post("/api/v1/listings", {"source": "garage", "listings": [row]}, format="json")
    seen["sent"] = list(Listing.objects.filter(external_id="4").values_list("range_km", "emissions"))
    asked = ListingFilters.from_query({"emission_classes": ["low"], "min_range_km": 350})
    seen["asked"] = list(Listing.objects.matching(asked).values_list("external_id", flat=True))


QUERIES = ("min_range=400", "max_range=200", "emissions=high", "emissions=ULEZ&min_range=100", "q=ulez octavia")


def look_at_admin(seen: dict[str, Any]) -> None:
    from django.test import Client

    from catalog.models import Listing
    from tests.factories import UserFactory

    client = Client()
    client.force_login(UserFactory(operator=True))
    car = Listing.objects.get(external_id="1")
    page = client.get(f"/admin/catalog/listing/{car.pk}/change/").content.decode()
    seen["form"] = [f'name="{column}"' in page for column in ("range_km", "emissions")]
    listed = client.get("/admin/catalog/listing/?emissions__exact=low&range_km_from=250").content.decode()
    seen["listed"] = ["Octavia one" in listed, "Octavia two" in listed]
    rule = client.get("/admin/recommendations/merchandisingrule/add/").content.decode()
    seen["rule"] = ["Electric range from (miles)" in rule, "Emission class" in rule]


def learn_and_serve(seen: dict[str, Any]) -> None:
    from catalog.filters import ListingFilters
    from catalog.models import Listing
    from recommendations.listings.index import borrow_index, drop_index
    from recommendations.metrics import figures
    from recommendations.models import Placement
    from recommendations.models.artifacts import load_ranker
    from recommendations.serving.lists import ListRequest, recommend
    from recommendations.training.runs import run_training, start_training
    from recommendations.training.versions import promote_ranker
    from shop.words import all_facts
    from tests.factories import BuyerFactory
    from tests.markets import make_market, view
    from tests.recommendations.models.test_stored_artifact import HERE, put_live

    market = make_market()
    for cars, range_km, emissions, latitude in ((market.skodas, 150, "high", 40), (market.bmws, 600, "low", 60)):
        these = Listing.objects.filter(pk__in=[car.pk for car in cars])
        these.update(range_km=range_km, emissions=emissions, latitude=latitude, longitude=0)
    put_live((HERE / "release_0.npz").read_bytes())
    drop_index()
    stored = recommend(ListRequest(buyer=None, k=10))
    seen["old artifact"] = [len(stored.items), "range" in load_ranker(stored.version_id).encoder.names]

    for cars in (market.skodas, market.bmws):
        for start in range(4):
            view(BuyerFactory(external=True), *cars[start : start + 4])
    version = run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)
    version.refresh_from_db()
    if version.status != version.Status.LIVE:
        promote_ranker(version=version, note="Its lists are looked at.")
    drop_index()
    ranker = load_ranker(version.pk)
    seen["features"] = sorted({"range", "emissions"} & set(ranker.encoder.names))
    seen["term weight"] = "north" in ranker.score.names

    buyer = BuyerFactory(external=True)
    view(buyer, *market.bmws[:3])
    Placement.objects.update(boosts={"north": 3.0}, sources={"odd": 0.9, "taste": 0.1, "trending": 0})
    answer = recommend(ListRequest(buyer=buyer, k=20))
    seen["sources"] = sorted({item.source for item in answer.items})
    seen["odd reasons"] = sorted({item.reason for item in answer.items if item.source == "odd"})
    seen["odd ids"] = [item.listing.pk % 2 for item in answer.items if item.source == "odd"]
    seen["terms"] = all("north" in item.terms for item in answer.items)
    seen["reasons"] = said_of(market.bmws[5])
    facts = dict(all_facts(Listing.objects.get(pk=market.bmws[5].pk)))
    seen["facts"] = [facts["Electric range"], facts["Emission class"]]
    asked = ListingFilters.from_query({"emission_classes": ["low"], "min_range_km": 500})
    with borrow_index() as index:
        seen["in memory"] = int(index.matching(asked).sum())
    seen["metrics"] = measured(figures)


def said_of(car: Any) -> list[str]:
    """Reasons that name the attributes and the term, for whom they matter most."""
    from catalog.models import Listing
    from recommendations.engine.reasons import reason_for
    from recommendations.serving.explanations import facts_of
    from recommendations.serving.wording import sentence

    facts = {**facts_of(Listing.objects.get(pk=car.pk)), "evidence": {"emissions": "opened"}, "has_history": True}
    typical = {"range_km": 300.0}
    named = reason_for({"emissions": 1.0, "range": 0.9}, {}, facts=facts, typical=typical)
    return [sentence(named), sentence(reason_for({"north": 1.0}, {}, facts=facts))]


def measured(figures: Any) -> list[list[Any]]:
    import numpy as np

    from recommendations.evaluation.report import MEANINGS, names_in

    question = figures.Question([np.array([0])], np.ones(2, bool), np.ones(2), np.eye(2))
    made = figures.measure(question, {"ours": np.array([[0, 1]])}, "ours", [2], np.random.default_rng(1), 10)
    found = [[one.metric, one.value] for one in made if one.metric == "first hit"]
    return [*found, ["first hit" in names_in(figures.QUALITY), MEANINGS["first hit"]]]


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    sys.meta_path.insert(0, Declaring())
    os.environ["DJANGO_SETTINGS_MODULE"] = "recommender_site.settings_test"
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    django.setup()
    from django.test.utils import setup_test_environment

    from recommender_site.celery import app

    setup_test_environment()

    app.send_task = lambda *args, **options: None
    print(json.dumps(observe(), default=str))

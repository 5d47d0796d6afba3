"""The listing index as files: a process that maps them knows what one knows that read the database."""

import json
import time

import numpy as np
import pytest
from django.db import transaction

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.listings import shared
from recommendations.listings.index import ListingIndex, borrow_index, drop_index, load_index, mapped_index, renew_files
from recommendations.training.runs import run_training, start_training
from tests.factories import ListingFactory
from tests.markets import make_market

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def version_of_module(django_db_setup, django_db_blocker):
    """A live ranker that has seen no events, which takes no time to train, over a few cars."""
    with django_db_blocker.unblock(), transaction.atomic():
        market = make_market(4)
        ListingFactory(tags=["towbar", "sunroof"], latitude=51.5, longitude=-0.1)
        ListingFactory(bare=True)
        Listing.objects.filter(pk=market.bmws[0].pk).update(status="reserved")
        yield run_training(run_id=start_training().pk)
        transaction.set_rollback(True)


@pytest.fixture
def version_id(version_of_module, settings, tmp_path):
    settings.LISTING_INDEX_DIR, settings.WINDOW_STALENESS_SECONDS = str(tmp_path / "index"), 0
    return version_of_module.pk


def known_to(listing_index) -> dict:
    """All that an index holds, by listing."""
    arrays, _ = listing_index.taken_down()
    n = len(listing_index)
    order = np.argsort(listing_index.column("listing_ids"))
    columns = {name: array[:n][order].tolist() for name, array in arrays.items() if not name.startswith("columns.code")}
    table = listing_index.columns.table(order)
    return columns | {name: getattr(table, name).tolist() for name in ("make", "model", "fuel", "seller_kind", "tags")}


def assert_same(one, other):
    np.testing.assert_equal(known_to(one), known_to(other))


def test_a_mapped_index_is_the_one_that_was_read(version_id):
    read = ListingIndex(version_id)
    load_index(version_id)
    mapped = mapped_index(version_id)
    assert_same(mapped, read)
    for filters in (ListingFilters(), ListingFilters(makes=("bmw",)), ListingFilters(tags=("towbar",))):
        assert mapped.allowed(filters).sum() == Listing.objects.available().matching(filters).count()


def test_what_happened_since_is_read_from_the_change_log(version_id):
    load_index(version_id)
    new = ListingFactory(price=1)
    sold, changed = Listing.objects.available().exclude(pk=new.pk).order_by("pk")[:2]
    Listing.objects.filter(pk=sold.pk).update(status="reserved")
    Listing.objects.filter(pk=changed.pk).update(price=4_321)
    assert_same(mapped_index(version_id), ListingIndex(version_id))


def test_no_process_sees_what_another_one_writes_to_its_memory(version_id):
    one, other = load_index(version_id), mapped_index(version_id)
    before = known_to(other)
    Listing.objects.update(price=7_777)
    one.sync()
    assert known_to(one) != before
    np.testing.assert_equal(known_to(other), before)
    other.sync()
    assert_same(one, other)


def age(version_id, seconds):
    path = shared.folder() / f"v{version_id}" / shared.DESCRIPTION
    description = json.loads(path.read_text())
    path.write_text(json.dumps(description | {"written_at": time.time() - seconds}))


def damage(version_id):
    next((shared.folder() / f"v{version_id}").glob("*/listing.is_live.npy")).write_bytes(b"no array")


@pytest.mark.parametrize("what", ["age", "rates", "release", "limit", "damage", "half a file", "nothing", "another"])
def test_files_that_cannot_be_trusted_are_left_alone(version_id, settings, monkeypatch, what):
    load_index(version_id)
    assert mapped_index(version_id) is not None
    path = shared.folder() / f"v{version_id}" / shared.DESCRIPTION
    match what:
        case "age":
            age(version_id, shared.USABLE_SECONDS + 1)
        case "rates":
            settings.EXCHANGE_RATES = {"EUR": 0.5}
        case "release":
            monkeypatch.setattr(shared, "release", lambda: "another")
        case "limit":
            settings.WINDOW_LOOKBACK_DAYS = 1
        case "damage":
            damage(version_id)
        case "half a file":
            path.write_text(path.read_text()[:50])
        case "nothing":
            path.unlink()
        case "another":
            version_id += 1
    assert mapped_index(version_id) is None


def test_an_index_is_loaded_where_no_files_can_be_written(version_id, settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.LISTING_INDEX_DIR = str(tmp_path / "file")
    with borrow_index() as listing_index:
        assert len(listing_index) == Listing.objects.count()


def test_files_of_other_versions_go_and_old_ones_are_written_anew(version_id, monkeypatch):
    drop_index()
    with borrow_index() as listing_index:
        pass
    files = set(shared.folder().glob("v*/*"))
    renew_files(listing_index)
    assert set(shared.folder().glob("v*/*")) == files  # young enough
    (shared.folder() / "v999").mkdir()
    monkeypatch.setattr(shared, "RENEWED_AFTER_SECONDS", -1)
    ListingFactory()
    listing_index.sync()
    renew_files(listing_index)
    assert [path.name for path in shared.folder().iterdir() if path.is_dir()] == [f"v{version_id}"]
    assert len(list(shared.folder().glob("v*/*"))) == len(files)
    # what is in the files, and nothing else
    monkeypatch.setattr("recommendations.listings.listing_index.read_changes", lambda *_: [])
    assert len(mapped_index(version_id)) == len(listing_index)


@pytest.mark.parametrize("relation", ["seller", "make", "car_model"])
def test_a_listing_is_another_where_its_seller_make_or_model_is(version_id, relation):
    asked = {
        "seller": ListingFilters(seller_kinds=("private",)),
        "make": ListingFilters(makes=("renamed",)),
        "car_model": ListingFilters(models=("renamed",)),
    }[relation]
    listing_index = load_index(version_id)
    assert not listing_index.allowed(asked).any()
    related = getattr(Listing.objects.exclude(**{relation: None}).first(), relation)
    change = {"kind": "private"} if relation == "seller" else {"slug": "renamed"}
    type(related).objects.filter(pk=related.pk).update(**change)
    listing_index.sync()
    assert listing_index.allowed(asked).sum() == Listing.objects.available().matching(asked).count() > 0

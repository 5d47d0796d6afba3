import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.models import Listing
from recommendations.listings.embedding import embed_missing_listings
from recommendations.listings.vectors import create_detached
from recommendations.models import Interaction, ListingVector, Preference, RankerArtifact, RankerVersion
from recommendations.upkeep.consistency import CHECKS, RESULT, check_data, last_findings
from recommender_site.http.metrics import sampler
from tasks.maintenance import check_data_task
from tests.factories import (
    BuyerFactory,
    CarModelFactory,
    InteractionFactory,
    ListingFactory,
    PreferenceFactory,
    RankerVersionFactory,
)
from tests.markets import trained_market
from tests.vector_tables import create_partition

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(hours=1)


@pytest.fixture(autouse=True)
def nothing_found_before():
    cache.delete(RESULT)
    yield
    cache.delete(RESULT)


def wrong() -> dict[str, int]:
    return {name: n for name, n in check_data().items() if n}


def test_a_trained_site_agrees_with_itself():
    trained_market()
    Listing.objects.update(updated_at=LONG_AGO)
    assert wrong() == {}


def test_an_empty_site_agrees_with_itself():
    assert wrong() == {}
    assert set(check_data()) == {check.name for check in CHECKS}


def test_a_live_listing_without_a_vector_is_found_once_a_worker_has_had_its_chance():
    trained_market()
    listing = ListingFactory()
    assert wrong() == {}
    Listing.objects.filter(pk=listing.pk).update(updated_at=LONG_AGO)
    assert wrong() == {"listings_without_vector": 1}
    embed_missing_listings()
    assert wrong() == {}


def test_a_vector_without_its_listing_is_found():
    market = trained_market()
    ListingVector.objects.filter(listing_id=market.skodas[0].pk).update(listing_id=2**40)
    Listing.objects.filter(pk=market.skodas[0].pk).update(status="withdrawn", ended_at=timezone.now())
    assert wrong() == {"vectors_without_listing": 1}


@pytest.mark.parametrize("create", [create_partition, create_detached])
def test_vectors_of_a_version_that_is_gone_are_found(create):
    version = RankerVersionFactory(status=RankerVersion.Status.FAILED)
    create(version.pk)
    assert wrong() == {"vectors_of_forgotten_versions": 1}


def test_a_damaged_or_missing_artifact_is_found():
    market = trained_market()
    RankerArtifact.objects.filter(version=market.version).update(sha256="0" * 64)
    assert wrong() == {"broken_artifacts": 1}
    RankerArtifact.objects.filter(version=market.version).delete()
    assert wrong() == {"broken_artifacts": 1}


def test_a_preference_that_knows_more_than_the_log_is_found():
    preference = PreferenceFactory()
    Preference.objects.filter(pk=preference.pk).update(last_interaction_id=2**40)
    assert "preferences_ahead_of_log" in wrong()


def test_a_history_left_with_a_guest_is_found():
    guest = BuyerFactory(merged_into=BuyerFactory(external=True))
    event = InteractionFactory(buyer=guest)
    Interaction.objects.filter(pk=event.pk).update(received_at=LONG_AGO)
    assert wrong() == {"histories_left_with_guests": 1}


def test_an_event_whose_list_was_never_written_down_is_found():
    event = InteractionFactory()
    Interaction.objects.filter(pk=event.pk).update(received_at=LONG_AGO, served_list_id=uuid.uuid4())
    assert wrong() == {"events_without_their_list": 1}


def test_a_model_of_another_make_is_found():
    listing = ListingFactory(car_model=CarModelFactory(make__name="Skoda"))
    Listing.objects.filter(pk=listing.pk).update(car_model=CarModelFactory(make__name="BMW"))
    assert wrong() == {"models_of_another_make": 1}


def test_the_command_says_what_to_do_and_fails():
    listing = ListingFactory(car_model=CarModelFactory(make__name="Skoda"))
    Listing.objects.filter(pk=listing.pk).update(car_model=CarModelFactory(make__name="BMW"))
    output = StringIO()
    with pytest.raises(CommandError, match="1 of 9 checks found something"):
        call_command("check_data", stdout=output)
    assert "1  listings have a model of another make\n          Correct them in the admin." in output.getvalue()


def test_findings_are_kept_for_the_metrics():
    assert last_findings() == {}
    check_data_task()
    sampler.sample()
    assert 'forecourt_inconsistent_rows{check="broken_artifacts"} 0.0' in Client().get("/metrics").content.decode()

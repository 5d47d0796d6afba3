from datetime import UTC, date, datetime, timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Buyer, User
from catalog.models import CarModel, Listing, Make, PriceChange, Seller
from catalog.signals import listings_stored
from jobs.work import cancel
from recommendations.listings.rows import read_listings
from recommendations.models import EventKind, Interaction, SeedRun, ServedList, SimulatedTaste
from recommendations.simulation import seed_store, seeding
from recommendations.simulation.demo_people import ensure_demo_people
from recommendations.simulation.seed_plan import SeedRefused
from recommendations.simulation.seeding import run_seeding, seed_marketplace
from recommendations.simulation.true_taste import TrueTaste, utility
from tests.factories import CarModelFactory, RankerVersionFactory

pytestmark = pytest.mark.django_db

SIZES = {"n_listings": 200, "n_buyers": 54, "n_events": 400}
UNTIL = date(2026, 3, 1)
ANCHOR = datetime(2026, 3, 1, tzinfo=UTC)


def seed(**changes):
    return seed_marketplace(**SIZES | {"seed": 11, "until": UNTIL} | changes)


def contents():
    """Everything a seeding writes, without database keys."""
    return {
        "listings": list(
            Listing.objects.order_by("external_id").values_list(
                "source", "external_id", "title", "price", "status", "published_at", "ended_at", "make__slug",
                "car_model__slug", "seller__external_id", "tags", "engine_l",
                "condition", "damage", "first_registration", "posted_at",
            )
        ),
        "prices": sorted(PriceChange.objects.values_list("listing__external_id", "old_price", "changed_at")),
        "buyers": list(
            SimulatedTaste.objects.order_by("buyer__user__email", "buyer__external_id").values_list(
                "buyer__user__email", "buyer__external_id", "buyer__latitude", "parameters"
            )
        ),
        "lists": [
            (key, len(ids), sources[:1], served_at)
            for key, ids, sources, served_at in ServedList.objects.order_by("id").values_list(
                "id", "listing_ids", "sources", "served_at"
            )
        ],
        "events": list(
            Interaction.objects.order_by("event_id").values_list(
                "event_id", "kind_id", "buyer__user__email", "buyer__external_id", "listing__external_id",
                "occurred_at", "served_list_id", "position", "query",
            )
        ),
    }  # fmt: skip


def forget_everything():
    for model in (Interaction, ServedList, PriceChange, Listing, Seller, CarModel, Make, Buyer, User):
        model.objects.all().delete()


class Crash(Exception):
    pass


def crashing_at(step, occurrence=1):
    """A progress report during which the process crashes."""
    seen = []

    def report(fraction, current):
        seen.append(current)
        if seen.count(step) == occurrence and current == step:
            raise Crash

    return report


def test_a_marketplace_has_the_sizes_asked_for():
    summary = seed()
    assert summary.added["listings"] == Listing.objects.count() == 200
    assert summary.added["events"] == Interaction.objects.count() == 400
    assert summary.added["buyers"] == SimulatedTaste.objects.count() == 54
    assert summary.added["lists"] == ServedList.objects.count()
    assert summary.n_live == Listing.objects.available().count()
    assert 150 < summary.n_live < 180


def test_seeding_twice_adds_nothing_twice():
    seed()
    before = contents()
    again = seed()
    assert not any(again.added.values())
    assert contents() == before


def test_a_market_keeps_its_own_day_when_it_is_seeded_again_later():
    seed()
    before = contents()
    later = seed(until=None)
    assert later.until == UNTIL
    assert contents() == before


def test_a_seed_and_a_day_make_the_same_rows_on_every_database():
    seed()
    before = contents()
    forget_everything()
    seed()
    assert contents() == before


@pytest.mark.parametrize(
    ("step", "occurrence"),
    [
        ("storing sellers", 1),
        ("storing listings", 3),
        ("drawing buyers", 1),
        ("writing the log", 1),
        ("writing the log", 3),
    ],
)
def test_a_seeding_that_crashed_is_completed_and_nothing_is_doubled(monkeypatch, step, occurrence):
    monkeypatch.setattr(seed_store, "LISTINGS_AT_ONCE", 60)
    monkeypatch.setattr(seed_store, "LISTS_AT_ONCE", 50)
    seed()
    complete = contents()
    forget_everything()
    with pytest.raises(Crash):
        seed(report=crashing_at(step, occurrence))
    seed()
    assert contents() == complete


def test_a_crash_within_a_chunk_leaves_none_of_it(monkeypatch):
    monkeypatch.setattr(PriceChange.objects.__class__, "bulk_create", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        seed()
    assert not Listing.objects.exists()


def test_another_seed_adds_another_market_beside_the_first():
    seed()
    seed(seed=12)
    assert Listing.objects.filter(source="seed-11").count() == Listing.objects.filter(source="seed-12").count() == 200
    assert Interaction.objects.count() == 800


def test_the_demo_users_are_among_the_buyers_of_the_first_market_only():
    seed()
    assert SimulatedTaste.objects.filter(buyer__user__email__startswith="john").count() == 50
    assert Interaction.objects.filter(buyer__user__email="john0@example.com").exists()
    seed(seed=12)
    assert SimulatedTaste.objects.filter(buyer__external_id__startswith="sim-12-").count() == 54
    assert Buyer.objects.filter(external_id__startswith="sim-11-").count() == 4


def test_everything_happens_before_the_day_and_while_the_car_was_for_sale():
    seed()
    for event in Interaction.objects.exclude(listing=None).select_related("listing"):
        assert event.occurred_at < ANCHOR
        assert event.listing.published_at < event.occurred_at
        assert event.listing.ended_at is None or event.occurred_at - event.listing.ended_at < timedelta(minutes=10)
    assert Listing.objects.filter(published_at__lt=ANCHOR - timedelta(days=121)).count() == 0
    assert Listing.objects.filter(status="sold", ended_at=None).count() == 0


def test_an_event_names_the_list_it_came_from_and_its_place_there():
    seed()
    lists = ServedList.objects.in_bulk()
    for event in Interaction.objects.exclude(kind="search"):
        shown = lists[event.served_list_id]
        assert shown.buyer_id == event.buyer_id
        assert shown.listing_ids[event.position - 1] == event.listing_id
    for search in Interaction.objects.filter(kind="search"):
        assert search.query
        assert search.listing_id is None


def test_the_stored_truth_is_about_the_stored_cars():
    """What buyers opened is worth clearly more to them than the rest, computed from the database alone."""
    seed()
    rows = read_listings(Listing.objects.order_by("id"))
    at = {key: row for row, key in enumerate(rows.listing_ids.tolist())}
    standings = []
    for stored in SimulatedTaste.objects.all():
        worth = utility(TrueTaste.from_json(stored.parameters), rows.table)
        opened = stored.buyer.interactions.filter(kind="view").values_list("listing_id", flat=True)
        standings += [(worth[at[key]] - worth.mean()) / worth.std() for key in opened]
    assert np.mean(standings) > 0.5


def test_makes_and_models_of_an_import_are_used_and_not_doubled():
    octavia = CarModelFactory(make__name="Skoda", name="Octavia")
    seed()
    assert Make.objects.filter(slug="skoda").count() == 1
    assert CarModel.objects.filter(slug="octavia").count() == 1
    assert Listing.objects.filter(car_model=octavia).exists()


def test_prices_are_in_the_currency_of_the_market(settings):
    settings.MARKET_CURRENCY = "EUR"
    seed(n_events=0)
    assert set(Listing.objects.values_list("currency", flat=True)) == {"EUR"}


def test_a_reduced_car_has_its_old_price_on_record():
    seed(n_events=0)
    assert PriceChange.objects.exists()
    for change in PriceChange.objects.select_related("listing"):
        assert change.old_price > change.new_price == change.listing.price
        assert change.listing.published_at < change.changed_at < ANCHOR


def test_new_cars_are_announced_to_a_live_ranker_and_not_without_one():
    announced = []

    def listen(sender, listing_ids, **kwargs):
        announced.extend(listing_ids)

    listings_stored.connect(listen)
    try:
        seed(n_events=0)
        assert announced == []
        RankerVersionFactory(live=True)
        seed(seed=12, n_events=0)
        assert set(announced) == set(Listing.objects.filter(source="seed-12").values_list("pk", flat=True))
    finally:
        listings_stored.disconnect(listen)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n_listings": -1}, "listings"),
        ({"n_buyers": -5}, "buyers"),
        ({"n_events": -5}, "events"),
        ({"n_events": 10_000_001}, "events"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"n_listings": 0}, "need listings"),
        ({"n_buyers": 0}, "need buyers"),
        ({"until": date(2999, 1, 1)}, "2999-01-01"),
    ],
)
def test_nonsense_is_refused_by_name_and_nothing_is_written(wrong, named):
    with pytest.raises(SeedRefused, match=named):
        seed(**wrong)
    assert not Listing.objects.exists()
    assert not Buyer.objects.exists()


def test_one_seed_is_one_market():
    seed()
    with pytest.raises(SeedRefused, match="200 x 54 x 400"):
        seed(n_events=500)
    assert Interaction.objects.count() == 400


def test_a_kind_of_event_that_an_operator_deleted_is_not_brought_back():
    EventKind.objects.get(slug="dislike").delete()
    with pytest.raises(SeedRefused, match="dislike"):
        seed()


def test_a_market_without_buyers_is_only_stock():
    summary = seed(n_buyers=0, n_events=0)
    assert summary.added["listings"] == 200
    assert not SimulatedTaste.objects.exists()


# --- People


def test_in_demo_mode_the_johns_and_an_operator_can_log_in(settings):
    settings.DEMO_MODE = True
    ensure_demo_people()
    for number in (0, 49):
        john = User.objects.get(email=f"john{number}@example.com")
        assert (john.first_name, john.last_name) == (f"John{number}", "Doe")
        assert john.check_password("demo")
        assert not john.is_staff
        assert john.buyer
    operator = User.objects.get(email="admin@example.com")
    assert operator.check_password("forecourt")
    assert operator.is_superuser
    assert User.objects.count() == 51


def test_outside_demo_mode_no_one_can_log_in_with_a_public_password(settings):
    settings.DEMO_MODE = False
    ensure_demo_people()
    assert not User.objects.get(email="john0@example.com").has_usable_password()
    assert not User.objects.filter(is_staff=True).exists()


def test_demo_people_who_exist_are_left_alone(settings):
    settings.DEMO_MODE = True
    ensure_demo_people()
    john = User.objects.get(email="john0@example.com")
    john.set_password("his own choice")
    john.save()
    ensure_demo_people()
    john.refresh_from_db()
    assert john.check_password("his own choice")
    assert User.objects.count() == 51
    assert Buyer.objects.count() == 50


def test_outside_demo_mode_too_demo_people_who_exist_are_left_alone(settings):
    settings.DEMO_MODE = True
    ensure_demo_people()
    User.objects.get(email="john1@example.com").delete()
    settings.DEMO_MODE = False
    ensure_demo_people()
    assert User.objects.get(email="john0@example.com").check_password("demo")
    assert not User.objects.get(email="john1@example.com").has_usable_password()


def test_johns_made_outside_demo_mode_get_their_password_with_it(settings):
    settings.DEMO_MODE = False
    ensure_demo_people()
    settings.DEMO_MODE = True
    ensure_demo_people()
    assert User.objects.get(email="john7@example.com").check_password("demo")


# --- A run from the admin


def seed_run(**changes):
    return SeedRun.objects.create(**SIZES | {"seed": 11} | changes)


def test_a_run_keeps_its_row_up_to_date():
    run = seed_run()
    run_seeding(seed_run_id=run.pk)
    run.refresh_from_db()
    assert run.status == SeedRun.Status.DONE
    assert run.progress == 1
    assert run.finished_at
    assert "200 listings" in run.step


def test_a_run_that_is_done_is_left_alone():
    run = seed_run(status=SeedRun.Status.DONE)
    run_seeding(seed_run_id=run.pk)
    assert not Listing.objects.exists()


def test_a_run_that_was_killed_is_completed():
    with pytest.raises(Crash):
        seed(until=None, report=crashing_at("writing the log"))
    long_ago = timezone.now() - timedelta(hours=1)
    run = seed_run(status=SeedRun.Status.RUNNING, created_at=long_ago)  # by a release without heartbeats
    run_seeding(seed_run_id=run.pk)
    run.refresh_from_db()
    assert run.status == SeedRun.Status.DONE
    assert Interaction.objects.count() == 400


def test_a_refused_run_says_why():
    run = seed_run(n_listings=0)
    run_seeding(seed_run_id=run.pk)
    run.refresh_from_db()
    assert run.status == SeedRun.Status.FAILED
    assert "need listings" in run.error


def test_a_run_that_fails_records_it_and_raises(monkeypatch):
    run = seed_run()
    monkeypatch.setattr(seeding, "build_market", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_seeding(seed_run_id=run.pk)
    run.refresh_from_db()
    assert run.status == SeedRun.Status.FAILED
    assert "division" in run.error


def test_a_cancelled_run_stops_at_its_next_step_and_stays_cancelled(monkeypatch):
    run = seed_run()
    draw = seeding.draw_buyers

    def cancel_then_draw(*args, **kwargs):
        assert cancel(run)
        return draw(*args, **kwargs)

    monkeypatch.setattr(seeding, "draw_buyers", cancel_then_draw)
    assert run_seeding(seed_run_id=run.pk) == "cancelled"
    run.refresh_from_db()
    assert run.status == SeedRun.Status.CANCELLED
    assert Listing.objects.count() == 200
    assert not Interaction.objects.exists()
    assert run_seeding(seed_run_id=run.pk) == "cancelled"
    assert not cancel(run)


def test_a_worker_that_receives_a_stop_signal_requeues_its_run(monkeypatch):
    run = seed_run()

    def stop(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr(seeding, "draw_buyers", stop)
    with pytest.raises(SystemExit):
        run_seeding(seed_run_id=run.pk)
    run.refresh_from_db()
    assert run.status == SeedRun.Status.QUEUED


# --- The command


def command(**options):
    out = StringIO()
    call_command("seed_data", listings=200, buyers=54, events=400, stdout=out, **options)
    return out.getvalue()


def test_the_command_says_what_it_added_and_how_fast():
    said = command(seed=11)
    assert "200  listings" in said
    assert "400  events" in said
    assert "rows a second" in said
    assert "nothing added" in command(seed=11)


def test_the_command_is_silent_when_asked_to_be():
    assert command(seed=11, quiet=True) == ""


def test_the_command_takes_a_day():
    assert "until 2026-02-03" in command(seed=11, until=date(2026, 2, 3))
    assert not Interaction.objects.filter(occurred_at__gte=datetime(2026, 2, 3, tzinfo=UTC)).exists()


def test_if_empty_leaves_other_peoples_stock_alone_but_lets_the_demos_people_in(settings):
    settings.DEMO_MODE = True
    CarModelFactory()
    Listing.objects.create(source="a file", external_id="1")
    assert command(seed=11, if_empty=True) == ""
    assert Listing.objects.count() == 1
    assert User.objects.filter(email="john0@example.com").exists()


def test_if_empty_completes_a_seeding_that_was_cut_short():
    with pytest.raises(Crash):
        seed(until=None, report=crashing_at("writing the log"))
    command(seed=11, if_empty=True)
    assert Interaction.objects.count() == 400
    assert command(seed=11, if_empty=True) == ""


def test_if_empty_is_content_with_a_market_of_other_sizes():
    seed(n_events=300)
    assert command(seed=11, if_empty=True) == ""


def test_a_refusal_is_a_clear_message():
    with pytest.raises(CommandError, match="listings must lie between 0 and 1,000,000, not -1"):
        call_command("seed_data", listings=-1)

"""The feed as client systems see it, by both ways: through Django, and by the short way around it."""

import io
import json
import re
import threading
import time
from datetime import timedelta
from importlib import import_module
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import pytest
from django.apps import apps
from django.conf import settings as site
from django.core.cache import cache
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import ApiKey, Buyer, User
from accounts.services import buyer_for_user
from catalog.models import Listing, Make
from catalog.services import expire_listings, withdraw_listing
from jobs.queue import taken_up
from recommendations.buyers.refresh import buyers_behind_the_log
from recommendations.events.rows import read_events
from recommendations.feed.clearing import empty_site
from recommendations.feed.fitting import REQUESTED_IDLE_FACTOR, REQUESTED_TASK, clear_log, ensure_fitted, refresh_fit
from recommendations.feed.memory import memory
from recommendations.listings.embedding import embed_missing_listings
from recommendations.listings.index import borrow_index
from recommendations.models import (
    EventKind,
    FeedFit,
    Interaction,
    ListingVector,
    Placement,
    Preference,
    RankerVersion,
    ServedList,
)
from recommendations.telemetry import FEED_ITEMS, FEED_SECONDS
from recommender_site.celery import app as celery
from recommender_site.http.fast_lane import with_fast_lane
from tests.factories import ApiKeyFactory, InteractionFactory, ListingFactory, UserFactory
from tests.markets import trained_market
from web.servers import broker_connection

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_demo_mode(settings):
    """Where the routes of the earlier systems are open; with keys they are tested in test_closed.py."""
    settings.DEMO_MODE = True


def no_usual_way(environ, start_response):
    raise AssertionError("the usual way was asked")


def the_usual_way(method: str, path: str, body: dict | str | None = None):
    content = body if isinstance(body, str) else json.dumps(body)
    client = Client()
    response = client.post(path, content, content_type="application/json") if method == "POST" else client.get(path)
    return response.status_code, response.json()


def the_short_way(method: str, path: str, body: dict | str | None = None):
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": "",
        "RAW_URI": path, "CONTENT_LENGTH": str(len(content)), "wsgi.input": io.BytesIO(content),
    }  # fmt: skip
    started = []
    request_finished.disconnect(close_old_connections)  # as Django's own client does, to keep the test's connection
    try:
        chunks = with_fast_lane(no_usual_way)(environ, lambda status, headers: started.append(status))
    finally:
        request_finished.connect(close_old_connections)
    return int(started[0].split()[0]), json.loads(b"".join(chunks))


both_ways = pytest.mark.parametrize("ask", [the_usual_way, the_short_way])


def add(item_ids, genres=None):
    status, answer = the_usual_way("POST", "/add_items", {"item_ids": item_ids, "genres": genres})
    assert status == 200, answer
    return answer["added_or_changed"]


def items(n: int, prefix: str = "item") -> list[str]:
    return [f"{prefix}-{number}" for number in range(n)]


def recs(user: str, ask=the_short_way) -> list[str]:
    status, answer = ask("GET", f"/recs/{quote(user, safe='')}")
    assert status == 200, answer
    return answer["item_ids"]


def act(user: str, liked=(), disliked=(), ask=the_short_way, **more):
    body = {
        "user_id": user,
        "item_ids": [*liked, *disliked],
        "actions": ["like"] * len(liked) + ["dislike"] * len(disliked),
        **more,
    }
    return ask("POST", "/interact", body)


def learn() -> None:
    FeedFit.objects.update(seconds=0)
    assert refresh_fit(settled=timedelta(0))


@both_ways
def test_a_list_has_ten_different_items_that_were_added(ask):
    added = items(30)
    assert add(added) == 30
    listed = recs("u", ask)
    assert len(listed) == len(set(listed)) == 10
    assert set(listed) <= set(added)


@both_ways
def test_what_was_shown_does_not_come_back_until_everything_was(ask):
    add(items(25))
    first, second, third = recs("u", ask), recs("u", ask), recs("u", ask)
    assert len({*first, *second}) == 20
    assert set(third[:5]) == set(items(25)) - {*first, *second}
    assert set(third[5:]) == set(first[:5]), "then what was shown longest ago"


@both_ways
def test_what_was_acted_on_does_not_come_back_and_the_disliked_comes_last(ask):
    add(items(12))
    act("u", liked=["item-3"], disliked=["item-4", "item-5"], ask=ask)
    first = recs("u", ask)
    assert not {"item-4", "item-5"} & set(first)
    assert first[-1] == "item-3", "only nine are left without a reaction"
    assert set(recs("u", ask)) >= set(first) - {"item-4"}


@both_ways
def test_ids_are_opaque(ask):
    odd = ["7", "007", " 7", "a-b", "a/b", "a%2Fb", "ключ", "🚗", "a?b#c", "..", 'quote"', "tab\tbed"]
    assert add(odd) == len(odd)
    assert set(recs("everything", ask)) < set(odd)
    assert {*recs("all", ask), *recs("all", ask)} == set(odd)
    for user in odd:
        assert act(user, liked=["7"], ask=ask) == (200, {"recorded": 1})
        assert len(recs(user, ask)) == 10
    assert Buyer.objects.filter(external_id__in=odd).count() == len(odd)


@both_ways
@pytest.mark.parametrize("path", ["/interact", "/interact/"])
def test_likes_and_dislikes_are_events_of_the_log(ask, path):
    add(["x", "y"])
    body = {"user_id": "u", "item_ids": ["x", "y"], "actions": ["like", "dislike"], "timestamp": 1_700_000_000.5}
    assert ask("POST", path, body) == (200, {"recorded": 2})
    events = Interaction.objects.order_by("id")
    assert [(event.kind_id, event.listing.external_id, event.buyer.external_id) for event in events] == [
        ("like", "x", "u"),
        ("dislike", "y", "u"),
    ]
    assert {event.occurred_at.timestamp() for event in events} == {1_700_000_000.5}


@both_ways
def test_the_same_action_sent_twice_counts_once_when_it_has_a_time(ask):
    add(["x"])
    assert [act("u", liked=["x"], ask=ask, timestamp=5.0)[1]["recorded"] for _ in range(2)] == [1, 0]
    assert [act("u", liked=["x"], ask=ask)[1]["recorded"] for _ in range(2)] == [1, 1]


@both_ways
def test_an_unknown_item_is_remembered_and_on_no_list_until_it_is_added(ask):
    add(items(5))
    assert act("u", liked=["later"], ask=ask)[0] == 200
    assert sorted(recs("v", ask)) == items(5)
    assert add(["later"], [["new"]]) == 1
    assert recs("v", ask)[0] == "later"
    assert Interaction.objects.get().listing.tags == ["new"]


def test_adding_again_changes_nothing_but_genres_that_are_given():
    assert add(["x", "y"], [["a"], ["b", "b"]]) == 2
    assert add(["x", "y"]) == 0
    assert add(["x", "y"], [["a"], ["c"]]) == 1
    assert dict(Listing.objects.values_list("external_id", "tags")) == {"x": ["a"], "y": ["c"]}
    assert set(Listing.objects.values_list("source", "title", "status")) == {
        ("items", "x", "live"),
        ("items", "y", "live"),
    }


@both_ways
def test_an_item_that_is_taken_off_is_on_no_list(ask):
    add(items(12))
    recs("before", ask)
    withdraw_listing(listing=Listing.objects.get(external_id="item-0"))
    assert "item-0" not in [*recs("u", ask), *recs("u", ask)]


@both_ways
def test_what_is_gone_a_moment_ago_is_not_served_even_when_memory_still_holds_it(ask, monkeypatch):
    add(items(12))
    recs("before", ask)
    monkeypatch.setattr("recommendations.feed.memory.Memory._follow_items", lambda *_: None)
    withdraw_listing(listing=Listing.objects.get(external_id="item-0"))
    listed = recs("u", ask)
    assert "item-0" not in listed
    assert len(listed) == 10


def test_cars_are_no_items():
    ListingFactory()
    add(items(3))
    assert sorted(recs("u")) == items(3)


def test_lists_are_written_down_before_they_are_answered():
    add(items(12))
    listed = recs("u")
    served = ServedList.objects.get()
    names = Listing.objects.in_bulk(served.listing_ids)
    assert [names[listing_id].external_id for listing_id in served.listing_ids] == listed
    assert served.buyer.external_id == "u"
    assert len(served.sources) == len(served.scores) == 10


WRONG = {
    "no object": ("/interact", [], ""),
    "no user": ("/interact", {"item_ids": [], "actions": []}, "user_id"),
    "a user that is a number": ("/interact", {"user_id": 7, "item_ids": [], "actions": []}, "user_id"),
    "an empty user": ("/interact", {"user_id": "", "item_ids": [], "actions": []}, "user_id"),
    "a user too long": ("/interact", {"user_id": "x" * 256, "item_ids": [], "actions": []}, "user_id"),
    "no items": ("/interact", {"user_id": "u", "actions": []}, "item_ids"),
    "items that are no list": ("/interact", {"user_id": "u", "item_ids": "x", "actions": ["like"]}, "item_ids"),
    "an item that is null": ("/interact", {"user_id": "u", "item_ids": [None], "actions": ["like"]}, "item_ids[0]"),
    "no actions": ("/interact", {"user_id": "u", "item_ids": []}, "actions"),
    "lists of two lengths": ("/interact", {"user_id": "u", "item_ids": ["x", "y"], "actions": ["like"]}, "actions"),
    "an unknown action": ("/interact", {"user_id": "u", "item_ids": ["x"], "actions": ["love"]}, "actions[0]"),
    "an action that is a list": ("/interact", {"user_id": "u", "item_ids": ["x"], "actions": [[]]}, "actions[0]"),
    "a time in words": (
        "/interact",
        {"user_id": "u", "item_ids": [], "actions": [], "timestamp": "noon"},
        "timestamp",
    ),
    "a time before time": ("/interact", {"user_id": "u", "item_ids": [], "actions": [], "timestamp": -1}, "timestamp"),
    "genres of two lengths": ("/add_items", {"item_ids": ["x", "y"], "genres": [[]]}, "genres"),
    "genres that are no lists": ("/add_items", {"item_ids": ["x"], "genres": ["drama"]}, "genres[0]"),
    "an empty genre": ("/add_items", {"item_ids": ["x"], "genres": [[""]]}, "genres[0]"),
    "an empty item": ("/add_items", {"item_ids": [""]}, "item_ids[0]"),
    "a user too long in the address": (f"/recs/{'x' * 256}", None, "user_id"),
}


@both_ways
@pytest.mark.parametrize(("path", "body", "field"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_and_nothing_is_written(ask, path, body, field):
    if path == "/add_items":
        ask = the_usual_way
    status, answer = ask("GET" if body is None else "POST", path, body)
    assert status == 422
    assert answer["error"]["code"] == "invalid"
    assert list(answer["error"]["fields"]) == ([field] if field else [])
    assert not Buyer.objects.exists()
    assert not Listing.objects.exists()


@both_ways
@pytest.mark.parametrize("body", ["{", "nothing", '{"user_id": "u", "item_ids": [], "actions": [], "timestamp": NaN}'])
def test_what_is_no_json_is_refused(ask, body):
    assert ask("POST", "/interact", body)[0] == 400


@both_ways
@pytest.mark.parametrize("user", ["%00", "%FF", "a%ED%A0%80"])
def test_text_that_is_none_is_no_user(ask, user):
    status, answer = ask("GET", f"/recs/{user}")
    assert status == 422 or (ask is the_usual_way and status == 200), answer


def test_a_list_without_a_user_is_not_there():
    assert the_usual_way("GET", "/recs/")[0] == 404
    assert the_usual_way("GET", "/recs")[0] == 404


@both_ways
def test_without_items_a_list_is_empty(ask):
    assert recs("u", ask) == []


def test_a_key_is_needed_where_the_installation_says_so(settings):
    settings.FEED_NEEDS_KEY = True
    ApiKeyFactory(secret="fc_reads", scopes=["read"])
    reads = Client(headers={"X-Api-Key": "fc_reads"})
    assert the_usual_way("GET", "/recs/u")[0] in (401, 403)
    assert reads.get("/recs/u").status_code == 200
    assert reads.post("/add_items", {"item_ids": ["x"]}, content_type="application/json").status_code == 403
    with pytest.raises(AssertionError, match="the usual way"):
        the_short_way("GET", "/recs/u")


# --- What is learned -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_genres", [True, False])
def test_two_groups_with_opposite_tastes_each_get_their_own_items(with_genres, settings):
    settings.FEED_EXPLORATION = 0.0
    red, blue = items(60, "red"), items(60, "blue")
    add([*red, *blue], [["red"]] * 60 + [["blue"]] * 60 if with_genres else None)
    for person in range(40):
        own, others = (red, blue) if person % 2 else (blue, red)
        mine = np.random.default_rng(person).permutation(60)[:12]
        act(f"past-{person}", liked=[own[at] for at in mine], disliked=[others[at] for at in mine])
    learn()
    for own, others in ((red, blue), (blue, red)):
        user = f"newcomer of {own[0]}"
        recs(user)
        act(user, liked=own[:3], disliked=others[:2])
        listed = recs(user)
        assert len(set(listed) & set(own)) >= 8


def test_similar_items_sink_after_a_dislike_without_anything_learned(settings):
    settings.FEED_EXPLORATION = 0.0
    settings.FEED_UNSEEN_SHARE = 0.0
    add([*items(30, "red"), *items(30, "blue")], [["red"]] * 30 + [["blue"]] * 30)
    act("u", disliked=["red-0"])
    assert not set(recs("u")) & set(items(30, "red"))


def test_a_like_changes_the_next_list_of_that_user_and_of_no_other(settings):
    settings.FEED_EXPLORATION = 0.0
    settings.FEED_UNSEEN_SHARE = settings.FEED_NEW_USER_UNSEEN_SHARE = 0.0
    add([*items(40, "red"), *items(40, "blue")], [["red"]] * 40 + [["blue"]] * 40)
    act("u", liked=["blue-0"])
    assert set(recs("u")) <= set(items(40, "blue"))
    act("v", liked=["red-0"])
    assert set(recs("v")) <= set(items(40, "red"))


def test_items_liked_more_often_come_first_for_new_users(settings):
    add(items(60))
    for person in range(60):
        listed = recs(f"past-{person}")
        act(f"past-{person}", liked=[item for item in listed if int(item[5:]) < 10])
    learn()
    settings.FEED_EXPLORATION = settings.FEED_NEW_USER_UNSEEN_SHARE = 0.0
    assert len(set(recs("newcomer")) & set(items(10))) >= 9


def test_nothing_is_learned_twice():
    add(items(20))
    act("u", liked=["item-1"])
    learn()
    FeedFit.objects.update(seconds=0)
    assert not refresh_fit(settled=timedelta(0))
    act("u", liked=["item-2"])
    assert refresh_fit(settled=timedelta(0))


def test_a_fit_learns_what_was_said_a_moment_ago_and_reads_it_again():
    add(items(20))
    act("u", liked=["item-1"])
    assert refresh_fit()
    assert FeedFit.objects.get().n_actions == 1
    FeedFit.objects.update(seconds=0)
    act("u", liked=["item-2"])
    assert refresh_fit()
    assert FeedFit.objects.get().n_actions == 2
    FeedFit.objects.update(seconds=0)
    assert refresh_fit(), "a row of the last second may have been committed only now"
    assert FeedFit.objects.get().n_actions == 2


def test_what_is_said_asks_for_a_fit_at_most_twice_a_second(queued, monkeypatch, django_capture_on_commit_callbacks):
    def is_asked(seconds_after: float, item: str, **more) -> bool:
        queued.clear()
        taken_up(REQUESTED_TASK)
        monkeypatch.setattr("recommendations.feed.fitting._requested_at", time.monotonic() - seconds_after)
        with django_capture_on_commit_callbacks(execute=True):
            act("u", liked=[item], **more)
        return (REQUESTED_TASK,) in queued

    add(items(20))
    recs("u")  # there is no fit yet
    assert is_asked(float("inf"), "item-0", timestamp=1.0)
    assert not is_asked(0.0, "item-1")
    assert is_asked(0.6, "item-2")
    assert not is_asked(9.0, "item-0", timestamp=1.0), "the same said twice is no news"
    learn()
    FeedFit.objects.update(seconds=10)
    recs("u")
    assert not is_asked(9.0, "item-3"), "a worker would refuse it"
    FeedFit.objects.update(fitted_at=timezone.now() - timedelta(seconds=10 * REQUESTED_IDLE_FACTOR + 1))
    recs("u")
    assert is_asked(9.0, "item-4")


def test_of_a_log_that_grows_no_more_than_the_newest_is_kept(monkeypatch):
    monkeypatch.setattr("recommendations.feed.fitting.MAX_SHOWN", 20)
    monkeypatch.setattr("recommendations.feed.fitting.MAX_ACTIONS", 3)
    clear_log()
    add(items(30))
    for person in range(4):
        act(f"past-{person}", liked=recs(f"past-{person}")[:1])
        learn()
    assert FeedFit.objects.values_list("n_shown", "n_actions").get() == (20, 3)
    clear_log()  # as a worker that has just begun
    act("u", liked=["item-1"])
    learn()
    fit = FeedFit.objects.get()
    assert (fit.n_shown, fit.n_actions) == (20, 3)
    clear_log()


# --- Many processes, restarts, a fresh start -------------------------------------------------------------------------


def test_another_process_repeats_nothing_and_knows_what_was_liked(settings):
    settings.FEED_EXPLORATION = settings.FEED_UNSEEN_SHARE = settings.FEED_NEW_USER_UNSEEN_SHARE = 0.0
    add([*items(40, "red"), *items(40, "blue")], [["red"]] * 40 + [["blue"]] * 40)
    first = recs("u")
    act("u", liked=["blue-0"])
    memory.forget()  # as a process that has just begun
    second = recs("u")
    assert not set(first) & set(second)
    assert set(second) <= set(items(40, "blue"))


def test_what_was_learned_survives_a_restart():
    add(items(60))
    for person in range(30):
        act(f"past-{person}", liked=recs(f"past-{person}")[:3])
    learn()
    before = memory.view(None, FeedFit.objects.get().number).scorer.model
    memory.forget()
    recs("u")
    after = memory.view(None, FeedFit.objects.get().number).scorer.model
    np.testing.assert_array_equal(before.means, after.means)
    np.testing.assert_allclose(before.neighbours.toarray(), after.neighbours.toarray(), atol=1e-2)
    assert before.neighbours.nnz > 0


def test_items_added_after_a_fit_are_as_any_other_without_events():
    add(items(30))
    act("u", liked=recs("u")[:2])
    learn()
    add(["new"])
    recs("v")
    view = memory.view(None, FeedFit.objects.get().number)
    row = view.items.names.index("new")
    assert view.scorer.model.means[row] == np.median(view.scorer.model.means)
    assert view.scorer.model.n_shown[row] == 0


@pytest.fixture
def default_kinds(transactional_db, monkeypatch):
    """Other tests with real commits empty every table when they end. No fit starts unasked here."""
    monkeypatch.setattr("recommendations.feed.lists.ensure_fitted", lambda fitted_at, seconds: None)
    import_module("recommendations.migrations.0003_defaults").create_defaults(apps, None)


@pytest.mark.django_db(transaction=True)
def test_the_catalogue_emptied_underneath_is_no_fault(default_kinds):
    add(["x", "y"])
    recs("u")
    was_in_memory = memory.items()
    empty_site()
    memory._items = was_in_memory  # as in a process that has not looked since
    assert act("u", liked=["x"]) == (200, {"recorded": 1})
    assert recs("u") == []
    add(["x"])
    assert recs("v") == ["x"]


@pytest.mark.django_db(transaction=True)
def test_a_fit_after_a_fresh_start_knows_nothing_of_before(default_kinds):
    add(items(20))
    act("u", liked=items(5))
    learn()
    empty_site()
    add(items(20))
    act("v", liked=["item-7"])
    learn()
    assert FeedFit.objects.get().n_actions == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_worker_a_thread_of_a_web_process_learns(default_kinds, settings, monkeypatch):
    monkeypatch.setattr("recommendations.feed.fitting.SETTLED", timedelta(0))
    monkeypatch.setattr("recommendations.feed.fitting._attempted_at", float("-inf"))
    settings.FEED_REFRESH_SECONDS = 1000
    add(items(20))
    act("u", liked=items(5))
    ensure_fitted(timezone.now())
    assert not [thread for thread in threading.enumerate() if thread.name == "feed-fit"], "a fit was made just now"
    ensure_fitted(None)
    for thread in threading.enumerate():
        if thread.name == "feed-fit":
            thread.join()
    assert FeedFit.objects.get().n_actions == 5


def test_sources_are_counted_and_add_up_to_the_items_served(settings):
    settings.FEED_RANDOM_SHARE = 0.2
    add(items(25))
    before = counted()
    n_served = len(recs("u"))
    act("u", liked=["item-3"])
    n_served += sum(len(recs("u")) for _ in range(3))
    grown = {source: value - before.get(source, 0) for source, value in counted().items()}
    assert sum(grown.values()) == n_served == 40
    assert all(grown[source] > 0 for source in ("learned", "unseen", "random", "again"))


def counted() -> dict[str, float]:
    [family] = FEED_ITEMS.collect()
    return {sample.labels["source"]: sample.value for sample in family.samples if sample.name.endswith("_total")}


def test_requests_are_measured_by_route_and_status_whichever_way_they_came():
    add(["x"])
    for ask in (the_usual_way, the_short_way):
        for route, status, question in [
            ("recs", "200", ("GET", "/recs/u", None)),
            ("interact", "422", ("POST", "/interact", {"user_id": 7})),
        ]:
            before = n_measured(route, status)
            ask(*question)
            assert n_measured(route, status) == before + 1


def n_measured(route: str, status: str) -> float:
    [family] = FEED_SECONDS.collect()
    labels = {"route": route, "status": status}
    return sum(sample.value for sample in family.samples if sample.name.endswith("_count") and sample.labels == labels)


def test_the_dashboard_shows_four_panels_of_metrics_that_exist():
    dashboard = json.loads((site.BASE_DIR / "monitoring/grafana/dashboards/feed.json").read_text())
    assert len(dashboard["panels"]) == 4
    names = {name for metric in (FEED_ITEMS, FEED_SECONDS) for name in (metric._name, f"{metric._name}_total")}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            [metric] = re.findall(r"forecourt_\w+", target["expr"])
            assert re.sub("_(bucket|count|sum)$", "", metric) in names


@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/"])
def test_health_names_what_does_not_answer(path, settings):
    status, answer = the_usual_way("GET", path)
    assert (status, answer) == (200, {"status": "ok", "database": "ok", "cache": "ok", "broker": "ok"})
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    status, answer = the_usual_way("GET", path)
    assert status == 503
    assert list(answer["error"]["fields"]) == ["cache"]
    assert "cache" in answer["error"]["message"]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["/cleanup", "/cleanup/"])
def test_outside_of_a_demo_only_an_admin_key_may_empty_the_site(method, path, settings):
    add(items(3))
    settings.DEMO_MODE = False
    ApiKeyFactory(secret="fc_ingests", scopes=["ingest"])
    ApiKeyFactory(secret="fc_admin", scopes=["admin"])
    for headers in ({}, {"X-Api-Key": "fc_ingests"}):
        assert getattr(Client(headers=headers), method)(path).status_code == 404
    assert Listing.objects.count() == 3
    assert getattr(Client(headers={"X-Api-Key": "fc_admin"}), method)(path).status_code == 200
    assert not Listing.objects.exists()


def test_a_fresh_start_keeps_accounts_keys_rules_and_schedules(settings, django_capture_on_commit_callbacks):
    settings.DEMO_MODE = True
    market = trained_market(6)
    user = UserFactory()
    buyer = buyer_for_user(user)
    InteractionFactory(buyer=buyer, listing=market.skodas[0])
    ApiKeyFactory()
    add(items(3))
    act("u", liked=["item-0"])
    recs("u")
    cache.set("anything", 1)
    n_kinds, n_placements, n_tasks = EventKind.objects.count(), Placement.objects.count(), PeriodicTask.objects.count()
    with django_capture_on_commit_callbacks(execute=True):
        assert the_usual_way("POST", "/cleanup") == (200, {"status": "empty"})
    for model in (Listing, Make, Interaction, ServedList, Preference, RankerVersion, ListingVector, FeedFit):
        assert not model.objects.exists(), model
    assert set(Buyer.objects.all()) == {buyer} | set(Buyer.objects.exclude(user=None))
    assert User.objects.contains(user)
    assert ApiKey.objects.count() == 1
    assert (EventKind.objects.count(), Placement.objects.count(), PeriodicTask.objects.count()) == (
        n_kinds, n_placements, n_tasks,
    )  # fmt: skip
    assert cache.get("anything") is None
    add(items(12))
    assert len(recs("u")) == 10


def test_a_fresh_start_drops_waiting_tasks(settings):
    settings.DEMO_MODE = True
    with broker_connection() as connection:
        queue = celery.amqp.queues[settings.DEFAULT_QUEUE](connection.default_channel)
        queue.declare()
        celery.send_task("unknown.task", queue=settings.DEFAULT_QUEUE)
        assert queue.queue_declare().message_count > 0
        the_usual_way("GET", "/cleanup")
        assert queue.queue_declare().message_count == 0


def test_cars_see_nothing_of_items():
    market = trained_market(6)
    Interaction.objects.all().delete()
    add(items(5))
    act("u", liked=["item-0"])
    with borrow_index() as listing_index:
        assert set(listing_index.column("listing_ids")) == {car.pk for car in (*market.skodas, *market.bmws)}
    assert Client().get("/api/v1/cars/search").status_code in (200, 401)
    assert embed_missing_listings() == 0
    assert not buyers_behind_the_log(market.version, since=timezone.now() - timedelta(days=1)).exists()
    expire_listings(now=timezone.now() + timedelta(days=5000))
    assert Listing.objects.available().filter(source="items").count() == 5


def test_a_training_on_cars_reads_no_events_of_items():
    add(items(5))
    act("u", liked=["item-0"], disliked=["item-1"])
    market = trained_market(6)
    assert market.version.n_listings == 12
    assert len(read_events(timezone.now() - timedelta(days=1))) == Interaction.objects.about_cars().count() > 0


def test_a_list_asks_the_database_nothing_but_its_two_statements(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("recommendations.feed.memory.CATCH_UP_SECONDS", 60)
    add(items(20))
    recs("u")
    with django_assert_num_queries(0):  # as Django counts them: the two go to the driver directly
        recs("u")

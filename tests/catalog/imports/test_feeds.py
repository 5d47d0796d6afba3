"""Feeds: fetched by beat or by hand, read as their profile says, and in trouble where they are."""

import io
import json
import re
import sys
from datetime import timedelta

import pytest
from django.core import mail
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.admin.feeds import FeedForm
from catalog.exceptions import FeedRefused
from catalog.imports.feeds import (
    RECENT_RUNS,
    feeds_in_trouble,
    options_of_feed,
    queue_due_feeds,
    queue_feed,
    send_alerts,
    troubles,
)
from catalog.imports.jobs import run_import
from catalog.imports.uploads import keep_file
from catalog.models import Feed, ImportRun, Listing
from tests.factories import SellerFactory, UserFactory
from web.fetching import Fetched
from web.seals import seal, unseal

pytestmark = pytest.mark.django_db
HEADER = "id,make,model,year,price,mileage\n"


@pytest.fixture
def folder(tmp_path, settings):
    settings.IMPORT_FOLDER = str(tmp_path)
    (tmp_path / "north").mkdir()
    return tmp_path / "north"


@pytest.fixture
def feed(folder):
    return Feed.objects.create(
        name="North", source="north", origin="folder", address="north/*.csv",
        options={"complete": "source", "distance_unit": "km"},
    )  # fmt: skip


def write(folder, n_cars, name="stock.csv"):
    cars = [f"{number},Ford,Focus,2015,8000,{60_000 + number}" for number in range(n_cars)]
    (folder / name).write_text(HEADER + "\n".join(cars) + "\n")


def ran(feed, **how):
    run = queue_feed(feed, **how)
    run_import(run_id=run.pk)
    run.refresh_from_db()
    feed.refresh_from_db()
    return run


def kinds(feed, after=timedelta()):
    return [trouble.kind for trouble in troubles(feed, timezone.now() + after)]


def test_a_feed_is_fetched_and_read_as_its_profile_says(feed, folder):
    feed.options |= {"columns": {"price": "price", "year": "ignore"}, "currency": "EUR", "vat": "net"}
    feed.seller = SellerFactory(name="North Cars")
    feed.save()
    write(folder, 3)
    run = ran(feed)
    assert (run.status, run.file_name, run.source, run.listings_created) == ("done", "stock.csv", "north", 3)
    car = Listing.objects.first()
    assert (car.seller, car.currency, car.year, car.price) == (feed.seller, "EUR", None, 9520)


def test_the_newest_file_is_read_whatever_it_is_called_and_its_source_stays(feed, folder):
    write(folder, 3, "stock-2026-11-28.csv")
    ran(feed)
    write(folder, 2, "stock-2026-11-29.csv")
    run = ran(feed)
    assert (run.source, run.listings_missing, run.listings_ended) == ("north", 1, 1)


def test_a_file_that_has_not_changed_is_not_read_again_and_its_cars_were_seen(feed, folder):
    write(folder, 3)
    ran(feed)
    run = ran(feed)
    assert (run.status, run.upload, run.listings_unchanged) == ("done", None, 3)
    assert set(Listing.objects.values_list("last_seen_at", flat=True)) == {run.seen_at}


def test_a_dry_run_reads_a_file_that_has_not_changed_and_sees_no_car(feed, folder):
    write(folder, 3)
    seen_at = ran(feed).seen_at
    tried = ran(feed, is_dry_run=True)
    assert (tried.status, tried.rows_read, tried.options.get("is_unmodified")) == ("done", 3, None)
    assert set(Listing.objects.values_list("last_seen_at", flat=True)) == {seen_at}


def test_a_file_is_read_again_after_another_one_was_uploaded(feed, folder):
    feed.options = {"distance_unit": "km"}
    feed.save()
    write(folder, 3)
    ran(feed)
    cars = HEADER + "0,Ford,Focus,2015,7000,60000\n9,Ford,Focus,2015,9000,60009\n"
    uploaded = ran(feed, upload=keep_file(file=ContentFile(cars.encode(), name="by-hand.csv")))
    run = ran(feed)
    assert (uploaded.listings_created, run.rows_read, run.listings_updated) == (1, 3, 1)
    assert Listing.objects.get(external_id="9").last_seen_at == uploaded.seen_at


@pytest.mark.parametrize("name", ["source", "seller", "currency", "address"])
def test_the_same_file_is_read_again_once_it_means_something_else(feed, folder, name):
    write(folder, 3)
    ran(feed)
    other = {"source": "south", "seller": SellerFactory().pk, "currency": "EUR", "address": "north/stock.*"}
    given = {field: FeedForm(instance=feed)[field].value() or "" for field in FeedForm.base_fields}
    form = FeedForm(given | {name: other[name]}, instance=feed)
    assert form.is_valid(), form.errors
    form.save()
    assert ran(feed).rows_read == 3
    assert ran(feed).options["is_unmodified"]
    assert ImportRun.objects.filter(upload__isnull=False).count() == 2


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_a_profile_that_is_saved_as_it_is_shown_stays_as_it_is(feed, folder, share):
    write(folder, 1)
    feed.options = {"complete": "source", "most_missing": share, "misses": 2, "columns": {"Preis": "price"}}
    feed.save()
    before = options_of_feed(feed)
    shown = FeedForm(instance=feed)
    form = FeedForm({name: shown[name].value() for name in shown.fields}, instance=feed)
    assert form.is_valid(), form.errors
    form.save()
    assert options_of_feed(Feed.objects.get(pk=feed.pk)) == before


def test_a_run_that_failed_asks_for_the_whole_file_again(feed, folder):
    write(folder, 3)
    ran(feed)
    ImportRun.objects.update(status="failed")
    assert ran(feed).listings_unchanged == 3
    assert ImportRun.objects.first().upload is not None


def test_beat_queues_what_is_due_once(feed, folder, queued):
    now = timezone.now()
    Feed.objects.create(name="Off", source="off", origin="folder", address="*.csv", is_enabled=False)
    Feed.objects.create(name="By hand", source="hand")
    assert [run.feed for run in queue_due_feeds(now)] == [feed]
    assert queue_due_feeds(now) == []
    assert queue_due_feeds(now + timedelta(days=2)) == []  # its run is still unfinished
    ImportRun.objects.update(status="done")
    assert len(queue_due_feeds(now + timedelta(days=4))) == 1


@pytest.mark.parametrize(
    "options", [{"no_such_option": 1}, {"currency": "nothing"}, {"misses": "x"}, {"key": 5}, [1], None, "x", 7]
)
def test_a_profile_that_cannot_be_read_stops_no_other_feed(options, feed, folder, queued):
    now = timezone.now()
    odd = Feed.objects.create(name="Odd", source="odd", origin="folder", address="*.csv", next_run_at=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_feed SET options = %s::jsonb, id = 0 WHERE id = %s", [json.dumps(options), odd.pk]
        )
    odd.pk = 0  # before all others
    assert [run.feed for run in queue_due_feeds(now)] == [feed]
    assert kinds(odd) == ["failed"]
    assert queue_due_feeds(now) == []
    assert ImportRun.objects.filter(feed=0).count() == 1


def test_a_feed_under_way_is_not_begun_again(feed, queued):
    queue_feed(feed)
    with pytest.raises(FeedRefused, match="already"):
        queue_feed(feed)


def test_troubles_follow_from_the_runs(feed, folder):
    assert kinds(feed) == []
    assert kinds(feed, timedelta(days=3)) == ["late"]
    assert (ran(feed).status, kinds(feed)) == ("failed", ["failed"])
    write(folder, 10)
    assert (ran(feed).status, kinds(feed)) == ("done", [])
    write(folder, 5)
    ran(feed)
    assert kinds(feed) == ["shrunk", "waiting"]
    assert "late" in kinds(feed, timedelta(days=3))


def test_a_trouble_leads_to_the_run_where_it_is_decided_and_a_run_to_its_feed(feed, folder, operator):
    write(folder, 10)
    ran(feed)
    write(folder, 5)
    run = ran(feed)
    of_run = reverse("admin:catalog_importrun_change", args=[run.pk])
    of_feed = reverse("admin:catalog_feed_change", args=[feed.pk])
    assert re.search(f'<a href="{of_run}"[^>]*>Decide</a>', operator.get(of_feed).content.decode())
    assert f'href="{of_feed}"' in operator.get(of_run).content.decode()
    dashboard = operator.get(reverse("admin:index")).content.decode()
    assert re.search(f'<a href="{of_run}"[^>]*>Decide</a>', dashboard)


def test_the_list_of_feeds_says_how_many_rows_of_the_last_file_are_to_be_mended(feed, folder, operator):
    (folder / "stock.csv").write_text(HEADER + "1,Ford,Focus,2060,8000,60000\n2,Ford,Focus,2015,dear,60001\n")
    run = ran(feed)
    assert ran(feed).options["is_unmodified"]
    page = operator.get(reverse("admin:catalog_feed_changelist")).content.decode()
    assert re.search(rf'<a href="{reverse("admin:catalog_importrun_rows", args=[run.pk])}"[^>]*>2</a>', page)


def test_a_file_that_is_the_one_of_last_time_ends_no_trouble(feed, folder):
    write(folder, 10)
    ran(feed)
    write(folder, 5)
    ran(feed)
    for _ in range(RECENT_RUNS + 1):
        assert ran(feed).options["is_unmodified"]
    assert kinds(feed) == ["shrunk", "waiting"]
    assert [(each.pk, [one.kind for one in said]) for each, said in feeds_in_trouble(timezone.now())] == [
        (feed.pk, ["shrunk", "waiting"])
    ]


def test_rows_that_repeat_others_are_not_missed_where_the_file_is_the_same(feed, folder):
    write(folder, 2)
    with (folder / "stock.csv").open("a") as file:
        file.write("0,Ford,Focus,2015,8000,60000\n" * 3)
    ran(feed)
    assert (ran(feed).listings_unchanged, kinds(feed)) == (2, [])


def test_an_error_of_several_lines_is_written_about(feed, folder):
    feed.alert_email = "stock@example.com"
    feed.save()
    run = ran(feed)
    ImportRun.objects.filter(pk=run.pk).update(error="the database is gone\nDETAIL: since noon")
    assert send_alerts(timezone.now()) == 1
    assert "the database is gone DETAIL: since noon" in mail.outbox[0].subject


def test_an_address_that_no_mail_can_have_keeps_no_other_alert_back(feed, folder):
    other = Feed.objects.create(
        name="Another",
        source="another",
        origin="folder",
        address="*.txt",
        alert_email="a@example.com\nBcc: b@example.com",
    )
    feed.alert_email = "stock@example.com"
    feed.save()
    for each in (other, feed):
        ran(each)
    assert send_alerts(timezone.now()) == 1
    assert [sent.to for sent in mail.outbox] == [["stock@example.com"]]
    assert not Feed.objects.get(pk=other.pk).alerted


def test_each_trouble_is_written_about_once(feed, folder):
    feed.alert_email = "stock@example.com"
    feed.save()
    ran(feed)
    now = timezone.now()
    assert (send_alerts(now), send_alerts(now)) == (1, 0)
    assert "No file below IMPORT_FOLDER" in mail.outbox[0].body
    write(folder, 3)
    ran(feed)
    assert send_alerts(now) == 0
    assert send_alerts(now + timedelta(days=3)) == 1


@pytest.mark.parametrize("pattern", ["../*.csv", "/etc/passwd", "", "south/*.csv", "north/**"])
def test_nothing_outside_the_folder_is_read(feed, folder, pattern, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.csv"
    outside.write_text(HEADER)
    (folder / "link.csv").symlink_to(outside)
    Feed.objects.update(address=pattern)
    assert ran(feed).status == "failed"


def test_a_password_is_stored_encrypted_and_shown_nowhere(client: Client):
    feed = Feed.objects.create(name="North", source="north", origin="url", address="https://example.com/a.csv")
    client.force_login(UserFactory(operator=True))
    form = FeedForm(instance=feed)
    given = {name: form[name].value() or "" for name in form.fields} | {"password": "open sesame", "is_enabled": "on"}
    page = f"/admin/catalog/feed/{feed.pk}/change/"
    assert client.post(page, given).status_code == 302
    stored = Feed.objects.get(pk=feed.pk)
    assert b"sesame" not in bytes(stored.sealed_password)
    assert unseal(stored.sealed_password) == "open sesame"
    assert "sesame" not in client.get(page).text
    client.post(page, given | {"password": ""})
    assert unseal(Feed.objects.get(pk=feed.pk).sealed_password) == "open sesame"


@pytest.mark.parametrize(
    ("changed", "is_kept"),
    [({"address": "https://example.com/b.csv?all=1"}, True), ({"address": "https://example.com:443/a.csv"}, True),
     ({"address": "https://other.example/a.csv"}, False), ({"address": "https://example.com:8443/a.csv"}, False),
     ({"address": "", "origin": "upload"}, False), ({"address": "north/*.csv", "origin": "upload"}, False)],
)  # fmt: skip
def test_a_stored_password_goes_to_no_other_host(changed, is_kept):
    """Who may change an address must not learn the password from a server of their own."""
    feed = Feed.objects.create(
        name="North", source="north", origin="url", address="https://example.com/a.csv", username="north",
        sealed_password=seal("open sesame"),
    )  # fmt: skip
    plain = {name: FeedForm(instance=feed)[name].value() or "" for name in FeedForm.base_fields}

    def form(**given):
        return FeedForm(plain | changed | given, instance=Feed.objects.get(pk=feed.pk))

    assert form().is_valid() is is_kept
    assert form(password="another").is_valid()
    without_name = form(username="")
    assert without_name.is_valid(), without_name.errors
    without_name.save()
    assert unseal(Feed.objects.get(pk=feed.pk).sealed_password) == ("open sesame" if is_kept else "")


def test_a_secret_of_another_key_is_no_secret_any_more(settings):
    sealed = seal("open sesame")
    settings.SECRET_KEY = "another key of the site, long enough for it"
    assert unseal(sealed) == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": "Preis"}, "COLUMN=field"),
        ({"columns": "Preis=prize"}, "prize"),
        ({"origin": "url", "address": "http://example.com/a.csv"}, "https://"),
        ({"origin": "url", "address": "https://me:secret@example.com/a.csv"}, "their own fields"),
        ({"origin": "folder", "address": "north/*.csv"}, "IMPORT_FOLDER"),
        ({"key": "colour_of_hope"}, "not a field"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_in_words(given, message):
    plain = {"name": "North", "source": "north", "origin": "upload", "every_minutes": "60"}
    form = FeedForm(plain | given)
    assert not form.is_valid()
    assert message in str(form.errors)


def test_the_command_runs_a_feed_by_name(feed, folder, capsys):
    write(folder, 3)
    call_command("import_listings", feed="north")
    assert "3  listings created" in capsys.readouterr().out
    call_command("import_listings", feed="North")
    assert "3 listings were seen again" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no feed “South”; there are: North"):
        call_command("import_listings", feed="South")


def test_the_command_reads_a_file_as_a_feeds_profile_says(feed, tmp_path):
    path = tmp_path / "2026-11-29.csv"
    path.write_text(HEADER + "1,Ford,Focus,2015,8000,60000\n")
    call_command("import_listings", path, feed="North", currency="EUR", quiet=True)
    run = ImportRun.objects.get()
    assert (run.feed, run.source, run.absence) == (feed, "north", "counted")
    assert Listing.objects.get().currency == "EUR"


def test_the_command_reads_what_is_piped_in(monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO((HEADER + "1,Ford,Focus,2015,8000,60000\n").encode()))
    monkeypatch.setattr(sys, "stdin", pipe)
    call_command("import_listings", "-", source="piped", quiet=True)
    assert Listing.objects.get().source == "piped"
    with pytest.raises(CommandError, match="--source"):
        call_command("import_listings", "-", quiet=True)


@pytest.mark.parametrize("address", ["http://example.com/a.csv", "https://127.0.0.1/a.csv", "https://[::1]/a.csv"])
def test_the_command_fetches_from_no_address_of_our_own(address):
    with pytest.raises(CommandError, match=r"https://|private network"):
        call_command("import_listings", address, source="x", quiet=True)


def test_a_feed_of_an_sftp_server_asks_with_what_its_profile_keeps_and_reads_no_file_twice(feed, monkeypatch, settings):
    """What it fetches by is tested against a real server in tests/web/test_sftp.py."""
    asked = []

    def fetched(source, target, **limits):
        asked.append((source.address, source.username, source.password, source.private_key, source.fingerprints))
        target.write_text(HEADER + "1,Ford,Focus,2015,8000,60001\n")
        return Fetched(name="a.csv", etag="a.csv 1 2", is_modified=source.version != "a.csv 1 2")

    monkeypatch.setattr("web.sftp.fetch_sftp", fetched)
    feed.origin, feed.address, feed.username, feed.host_key = "sftp", "sftp://host/*.csv", "north", "SHA256:x"
    feed.sealed_password, feed.sealed_key = seal("word"), seal("a key")
    feed.save()
    assert (ran(feed).listings_created, ran(feed).options.get("is_unmodified")) == (1, True)
    assert set(asked) == {("sftp://host/*.csv", "north", "word", "a key", "SHA256:x")}


@pytest.mark.parametrize(
    ("address", "said"),
    [("sftp://host/out/*.csv", ""), ("https://host/x.csv", "sftp://"), ("sftp://host", "sftp://"),
     ("sftp://me:word@host/x.csv", "own fields")],
)  # fmt: skip
def test_the_form_of_a_profile_takes_addresses_of_sftp_servers_and_keeps_their_key(address, said):
    given = {
        "name": "South", "source": "south", "origin": "sftp", "address": address, "username": "u", "every_minutes": 60,
        "private_key": "a\r\nkey", "host_key": "SHA256:x",
    }  # fmt: skip
    form = FeedForm(given)
    assert form.is_valid() == (not said), form.errors
    assert said in str(form.errors)
    if not said:
        assert unseal(form.save().sealed_key) == "a\nkey\n"
        moved = FeedForm(given | {"address": "sftp://other/x.csv", "private_key": ""}, instance=form.instance)
        assert not moved.is_valid()

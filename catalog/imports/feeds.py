"""Feeds: files that one supplier sends regularly, fetched by beat or on demand; their runs and their problems.

A run of a feed is an import whose file a worker fetches first. An unchanged file is not read again; its cars count as
seen. ``troubles`` is computed from the last runs, so an operator has nothing to reset.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.mail import send_mail
from django.db import connection, transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.exceptions import FeedRefused, FileRefused, ImportRefused
from catalog.imports.options import ImportOptions
from catalog.imports.staging import unnoted
from catalog.imports.uploads import keep_file, too_large
from catalog.models import Feed, ImportRun, Listing, UploadedFile
from console.formats import stamp
from jobs.isolation import LEFT_OUT, is_fault_of_data
from jobs.queue import enqueue_on_commit
from web.fetching import Fetched, FetchRefused, Source, fetch
from web.seals import unseal

logger = logging.getLogger(__name__)

Status = ImportRun.Status
SHRINKS_BELOW = 0.7  # share of the rows of the previous run
RECENT_RUNS = 20  # runs from which problems are computed
LATE_AFTER = 2.5  # intervals without a file
FETCHED = (Feed.Origin.URL, Feed.Origin.SFTP, Feed.Origin.FOLDER)
READ = Q(status=Status.DONE) & ~Q(options__has_key="is_unmodified")


# --- Runs ------------------------------------------------------------------------------------------------------------
def feed_named(name: str) -> Feed:
    """Return the feed of a name. Raises FeedRefused if there is none; the message lists the names."""
    feed = Feed.objects.filter(name__iexact=name).first()
    if feed is None:
        known = ", ".join(Feed.objects.values_list("name", flat=True)[:20])
        raise FeedRefused(f"There is no feed “{name}”; there are: {known or 'none'}.")
    return feed


def options_of_feed(feed: Feed, *, is_dry_run: bool = False) -> ImportOptions:
    given: dict[str, Any] = {**feed.options, **({"seller": feed.seller_id} if feed.seller_id else {})}
    return ImportOptions.of_given(given, source=feed.source, is_dry_run=is_dry_run)


def queue_feed(
    feed: Feed, *, upload: UploadedFile | None = None, started_by: User | None = None, is_dry_run: bool = False,
    hand_over: bool = True,
) -> ImportRun:  # fmt: skip
    """Queue a run of a feed, of an uploaded file or of the one to be fetched; ``hand_over`` enqueues it on commit.
    Raises FeedRefused where there is nothing to fetch, or a run of the feed is queued or running."""
    if upload is None and feed.origin not in FETCHED:
        raise FeedRefused(f"The files of “{feed.name}” are uploaded: upload one.")
    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=feed.pk)  # of two concurrent starts the second sees the first run
        if upload is None and feed.runs.unfinished().exists():
            raise FeedRefused(f"“{feed.name}” is being imported already.")
        options = options_of_feed(feed, is_dry_run=is_dry_run)
        run = ImportRun.objects.create(
            feed=feed,
            upload=upload,
            is_fetched=upload is None,
            file_name=upload.name if upload else feed.name,
            source=feed.source,
            is_dry_run=is_dry_run,
            options={"given": options.given()},
            started_by=started_by,
        )
        if hand_over:
            enqueue_on_commit(ImportRun.TASK, run.pk)
    return run


def queue_due_feeds(now: datetime) -> list[ImportRun]:
    """Queue the feeds that are due; the next time counts from now, so that none runs twice after an outage.

    A profile that cannot be read, as an earlier release may have stored one, fails its own run only.
    """
    runs = []
    due = Feed.objects.filter(is_enabled=True, origin__in=FETCHED, next_run_at__lte=now)
    for feed_id in due.values_list("pk", flat=True):
        with transaction.atomic():
            feed = due.select_for_update(skip_locked=True, of=("self",)).filter(pk=feed_id).first()
            if feed is None:
                continue
            feed.next_run_at = now + timedelta(minutes=feed.every_minutes)
            feed.save(update_fields=["next_run_at"])
            if not feed.runs.unfinished().exists():
                runs += _queued_or_failed(feed, now)
    return runs


def _queued_or_failed(feed: Feed, now: datetime) -> list[ImportRun]:
    """Queue a run of a feed; where the profile is invalid, store a failed run with the reason and return nothing."""
    try:
        with transaction.atomic():
            return [queue_feed(feed)]
    except Exception as error:
        if not isinstance(error, ImportRefused) and not is_fault_of_data(error):
            raise
        LEFT_OUT.labels("feeds").inc()
        logger.exception("feed %s: its run is left out", feed.pk)
        ImportRun.objects.create(
            feed=feed, is_fetched=True, file_name=feed.name, source=feed.source, status=Status.FAILED, finished_at=now,
            error=f"The profile cannot be read: {error}",
        )  # fmt: skip
        return []


# --- Fetching --------------------------------------------------------------------------------------------------------
def fetch_file(run: ImportRun) -> bool:
    """Fetch the file of a feed's run and store it as its upload; False where it is the same as last time.

    A dry run reads it in any case.

    Raises:
        FileRefused: When it cannot be fetched; the message is the reason.
    """
    feed = run.feed
    if feed is None:
        raise FileRefused("The feed of this run was removed.")
    with tempfile.TemporaryDirectory(prefix="forecourt-feed-") as directory:
        target = Path(directory) / "file"
        version = _fetch_to(feed, target, is_known=not run.is_dry_run and _is_last_fetched(feed))
        if not version.is_modified:
            return False
        with target.open("rb") as content:
            run.upload = keep_file(file=File(content, name=version.name), uploaded_by=run.started_by)
    run.file_name = run.upload.name
    run.options["version"] = {"etag": version.etag, "last_modified": version.last_modified}
    run.save(update_fields=["upload", "file_name", "options"])
    return True


@dataclass(frozen=True, kw_only=True)
class _Version:
    name: str = ""
    etag: str = ""
    last_modified: str = ""
    is_modified: bool = True


def _fetch_to(feed: Feed, target: Path, *, is_known: bool) -> _Version:
    """Write the file of a feed to ``target``; ``is_known`` allows the server to answer that it has not changed."""
    if feed.origin == Feed.Origin.FOLDER:
        return _copy_newest(feed, target, is_known=is_known)
    try:
        if feed.origin == Feed.Origin.SFTP:
            found = _fetch_by_sftp(feed, target, is_known=is_known)
        else:
            found = _fetch_by_http(feed, target, is_known=is_known)
    except FetchRefused as refusal:
        raise FileRefused(str(refusal)) from refusal
    return _Version(name=found.name, etag=found.etag, last_modified=found.last_modified, is_modified=found.is_modified)


def _fetch_by_http(feed: Feed, target: Path, *, is_known: bool) -> Fetched:
    source = Source(
        address=feed.address,
        username=feed.username,
        password=unseal(feed.sealed_password),
        etag=feed.etag if is_known else "",
        last_modified=feed.last_modified if is_known else "",
    )
    return fetch(source, target, max_bytes=_max_bytes(), allow_private=settings.IMPORT_PRIVATE_ADDRESSES)


def _fetch_by_sftp(feed: Feed, target: Path, *, is_known: bool) -> Fetched:
    from web.sftp import SftpSource, fetch_sftp  # here, because its library is large and rarely needed

    source = SftpSource(
        address=feed.address,
        username=feed.username,
        fingerprints=feed.host_key,
        password=unseal(feed.sealed_password),
        private_key=unseal(feed.sealed_key),
        version=feed.etag if is_known else "",
    )
    return fetch_sftp(source, target, max_bytes=_max_bytes(), allow_private=settings.IMPORT_PRIVATE_ADDRESSES)


def _copy_newest(feed: Feed, target: Path, *, is_known: bool) -> _Version:
    path = newest_file(feed.address)
    stat = path.stat()
    version = f"{path.name} {stat.st_mtime_ns} {stat.st_size}"[-255:]
    if is_known and version == feed.etag:
        return _Version(is_modified=False)
    if stat.st_size > _max_bytes():
        raise FileRefused(too_large(path.name))
    shutil.copyfile(path, target)
    return _Version(name=path.name, etag=version)


def newest_file(pattern: str) -> Path:
    """Return the newest file of a pattern below IMPORT_FOLDER; nothing outside that folder is read. Raises
    FileRefused where there is none."""
    if not settings.IMPORT_FOLDER:
        raise FileRefused("No folder may be read: set IMPORT_FOLDER.")
    root = Path(settings.IMPORT_FOLDER).resolve()
    if not pattern.strip() or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise FileRefused("A pattern of file names lies below IMPORT_FOLDER, such as north/*.csv.")
    try:
        found = [path for path in root.glob(pattern) if path.is_file() and path.resolve().is_relative_to(root)]
    except (ValueError, NotImplementedError, OSError):
        raise FileRefused(f"“{pattern}” is no pattern of file names.") from None
    if not found:
        raise FileRefused(f"No file below IMPORT_FOLDER is called “{pattern}”.")
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _max_bytes() -> int:
    return settings.IMPORT_MAX_MB * 1024 * 1024


def note_version(run: ImportRun) -> None:
    """Store the version of a feed's file once all of it is stored; only then may the next fetch compare with it."""
    version = run.options.get("version")
    if run.feed_id and version and run.status == Status.DONE and not run.is_dry_run:
        Feed.objects.filter(pk=run.feed_id).update(**version)


@transaction.atomic
def see_again(run: ImportRun) -> None:
    """Count the cars of an unchanged file as seen; those missing before are missing again."""
    last = _last_done(run.feed) if run.feed else None
    run.seen_at = run.seen_at or timezone.now()
    if last is None or last.seen_at is None:
        return
    with connection.cursor() as cursor, unnoted(cursor):
        seen = Listing.objects.filter(source=run.source, last_seen_at__gte=last.seen_at, last_seen_at__lt=run.seen_at)
        n_seen = seen.update(last_seen_at=run.seen_at)
    run.listings_unchanged = run.rows_read = n_seen
    run.options |= {"is_unmodified": True}
    run.save(update_fields=["seen_at", "listings_unchanged", "rows_read", "options"])


def _is_last_fetched(feed: Feed) -> bool:
    """Whether the last run read the file whose version is stored, and no file was uploaded since."""
    last = _last_done(feed)
    return last is not None and last.is_fetched


def _last_done(feed: Feed) -> ImportRun | None:
    return feed.runs.filter(status=Status.DONE, is_dry_run=False).order_by("-finished_at").first()


# --- What is wrong ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Trouble:
    """A problem of a feed. ``kind`` is failed, shrunk, waiting or late; ``said`` is a sentence for an operator, and
    ``run`` the run that it is about."""

    kind: str
    said: str
    run: ImportRun | None = None


def with_recent_runs(feeds: QuerySet[Feed]) -> QuerySet[Feed]:
    """Preload the results of ``recent_runs`` and ``last_read``, by one query each for all feeds."""
    runs = ImportRun.objects.filter(is_dry_run=False).order_by("-created_at")
    return feeds.prefetch_related(
        Prefetch("runs", runs[:RECENT_RUNS], to_attr="preloaded_runs"),
        Prefetch("runs", runs.filter(READ)[:2], to_attr="preloaded_read"),
    )


def last_read(feed: Feed) -> list[ImportRun]:
    """Return the last two runs that read a file to its end; runs of an unchanged file do not count."""
    preloaded: list[ImportRun] | None = getattr(feed, "preloaded_read", None)
    if preloaded is not None:
        return preloaded
    return list(feed.runs.filter(READ, is_dry_run=False).order_by("-created_at")[:2])


def recent_runs(feed: Feed) -> list[ImportRun]:
    """Return the last runs that were no dry runs, newest first."""
    preloaded: list[ImportRun] | None = getattr(feed, "preloaded_runs", None)
    if preloaded is not None:
        return preloaded
    return list(feed.runs.filter(is_dry_run=False).order_by("-created_at")[:RECENT_RUNS])


def troubles(feed: Feed, now: datetime) -> list[Trouble]:
    """Return the problems of a feed that need an operator; empty where there are none."""
    runs = [run for run in recent_runs(feed) if not run.is_unfinished]
    done = [run for run in runs if run.status == Status.DONE]
    found = []
    if runs and runs[0].status in (Status.FAILED, Status.INTERRUPTED):
        found.append(Trouble("failed", f"The last run failed: {runs[0].error or 'it was interrupted'}", runs[0]))
    read = last_read(feed)
    if len(read) > 1 and read[0].rows_read < SHRINKS_BELOW * read[1].rows_read:
        said = f"{read[0].rows_read:,} rows came, where it was {read[1].rows_read:,} before."
        found.append(Trouble("shrunk", said, read[0]))
    if read and read[0].absence == ImportRun.Absence.WAITING:
        said = f"{read[0].options['held']['n']:,} missing cars wait for a decision."
        found.append(Trouble("waiting", said, read[0]))
    since = done[0].finished_at or done[0].created_at if done else feed.created_at
    if feed.is_enabled and now - since > LATE_AFTER * timedelta(minutes=feed.every_minutes):
        found.append(Trouble("late", f"Nothing has come since {stamp(since)}."))
    return found


def feeds_in_trouble(now: datetime) -> list[tuple[Feed, list[Trouble]]]:
    return [(feed, found) for feed in with_recent_runs(Feed.objects.all()) if (found := troubles(feed, now))]


def send_alerts(now: datetime) -> int:
    """Send one mail about each new problem of a feed, to the address of its profile; returns how many were sent.

    A refused address does not stop the other mails; it is tried again next time.
    """
    n_sent = 0
    for feed in with_recent_runs(Feed.objects.exclude(alert_email="")):
        found = troubles(feed, now)
        known = set(feed.alerted.split())
        if {trouble.kind for trouble in found} == known:
            continue
        if any(trouble.kind not in known for trouble in found):
            subject = " ".join(f"Feed {feed.name}: {found[0].said}".split())  # an error may have several lines
            try:
                send_mail(subject[:150], alert_text(feed, found), None, [feed.alert_email])
            except (SMTPException, ValueError):
                logger.exception("the alert of feed %s was not sent", feed.pk)
                continue
            n_sent += 1
        Feed.objects.filter(pk=feed.pk).update(alerted=" ".join(trouble.kind for trouble in found))
    return n_sent


def alert_text(feed: Feed, found: Iterable[Trouble]) -> str:
    return "\n".join(
        [f"The feed {feed.name} (source {feed.source}) needs attention:", "", *(each.said for each in found)]
    )

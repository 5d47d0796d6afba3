"""Admin pages of feeds: profiles of suppliers, their runs compared, and their problems."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.models import User
from catalog.exceptions import ImportRefused
from catalog.imports.feeds import (
    FETCHED,
    READ,
    Trouble,
    feeds_in_trouble,
    newest_file,
    queue_feed,
    recent_runs,
    troubles,
    with_recent_runs,
)
from catalog.imports.headings import NAMED_MAPPINGS, HeaderReader
from catalog.imports.money import CURRENCIES
from catalog.imports.options import MOST_MISSING, ImportOptions
from catalog.models import BadRow, Feed, ImportRun
from console.auditing import record
from console.dashboard.cards import Card, Panel
from console.dashboard.registry import show
from console.formats import NONE, ago, badge, clock, link_to, list_url, table
from console.pages import ConsoleAdmin, dialog, go_to
from jobs.admin.base import JOB_LABELS
from web.fetching import PORTS, FetchRefused, split_address, split_sftp
from web.seals import seal

RUNS_ON_PAGE = 14
TROUBLE_LABELS = {"failed": "danger", "shrunk": "warning", "waiting": "warning", "late": "danger"}
COUNTED = ("rows_read", "listings_created", "listings_updated", "listings_unchanged", "rows_refused", "listings_ended")


def _choice(label: str, choices: list[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, label=label, choices=choices, widget=UnfoldAdminSelectWidget)


def _text(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(required=False, label=label, help_text=help_text, widget=UnfoldAdminTextInputWidget)


class FeedForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    """A profile: the row's own columns, and the options of its imports as fields of their own."""

    OPTIONS: ClassVar[tuple[str, ...]] = (
        "mapping", "columns", "currency", "vat", "distance_unit", "complete", "missing", "misses", "most_missing",
        "make", "model", "delimiter", "encoding", "key", "new_makes",
    )  # fmt: skip

    password = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Kept encrypted, and never shown. Leave it empty to keep the one that is stored; for another host it "
        "has to be typed again.",
    )
    private_key = forms.CharField(
        required=False,
        label="Private key",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="For SFTP, instead of a password, which is its passphrase then. Kept as the password is.",
    )
    mapping = _choice("Kind of file", [("", "Find out"), *((name, name) for name in sorted(NAMED_MAPPINGS))])
    columns = forms.CharField(
        required=False,
        label="Columns",
        help_text="What a column is, where we would not find out: one COLUMN=field a line, such as Preis=price.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )
    currency = _choice("Currency", [("", "As the file says"), *((code, code) for code in sorted(CURRENCIES))])
    vat = _choice("VAT", list(Feed.Vat.choices))
    distance_unit = _choice("Distances", [("", "As the file says"), ("km", "kilometres"), ("mi", "miles")])
    complete = _choice("Its files have", list(Feed.Complete.choices))
    missing = _choice("A missing car becomes", [("", "withdrawn"), ("sold", "sold")])
    misses = forms.IntegerField(
        required=False, min_value=1, max_value=1_000, label="After so many files without it", initial=1,
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip
    most_missing = forms.FloatField(
        required=False, min_value=0, max_value=1, label="Share that may be missing", initial=MOST_MISSING,
        help_text="0 to 1. Where more of the cars on offer are missing, you decide.", widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip
    make = _text("Make", "For files of one make.")
    model = _text("Model", "For files of one model.")
    delimiter = _text("Separator", "One character, or comma, semicolon, tab, pipe.")
    encoding = _text("Encoding", "Such as utf-8 or cp1250.")
    new_makes = forms.BooleanField(
        required=False,
        label="Make unknown makes and models",
        help_text="Otherwise rows that name one wait on the page of their run, with the nearest known ones.",
        widget=UnfoldBooleanSwitchWidget,
    )
    key = _text("What distinguishes cars", "In files without ids: fields such as make_slug,model_slug,year,mileage_km.")

    class Meta:
        model = Feed
        fields = (
            "name", "is_enabled", "source", "seller", "origin", "address", "username", "host_key", "every_minutes",
            "alert_email",
        )  # fmt: skip
        labels: ClassVar = {"every_minutes": "Comes every so many minutes"}
        help_texts: ClassVar = {
            "every_minutes": "1440 is once a day. Where files are uploaded: how often one is expected."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = dict(self.instance.options)
        given["columns"] = "\n".join(f"{heading}={target}" for heading, target in given.get("columns", {}).items())
        given["key"] = ",".join(given.get("key", ()))
        stored = {name: value for name, value in given.items() if name in self.fields}
        self.initial = {**self.initial, **stored}

    def clean_columns(self) -> dict[str, str]:
        pairs = {}
        for line in self.cleaned_data["columns"].splitlines():
            column, equals, field = (part.strip() for part in line.rpartition("="))
            if line.strip() and not (column and equals and field):
                raise forms.ValidationError(f"Write COLUMN=field, not “{line.strip()}”.")
            if line.strip():
                pairs[column] = field
        return pairs

    def clean_address(self) -> str:
        """Validate the address without a network request."""
        address: str = self.cleaned_data["address"].strip()
        origin = self.cleaned_data.get("origin")
        try:
            if origin == Feed.Origin.URL:
                parts = split_address(address, allow_private=settings.IMPORT_PRIVATE_ADDRESSES)
                if parts.username or parts.password:
                    raise forms.ValidationError("Write the user name and the password into their own fields.")
            if origin == Feed.Origin.SFTP:
                split_sftp(address)
            if origin == Feed.Origin.FOLDER:
                newest_file(address)
        except (FetchRefused, ImportRefused) as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return address

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        is_stale = self.is_for_another_host() and cleaned["username"]
        if is_stale and not (cleaned["password"] or cleaned["private_key"]):
            raise forms.ValidationError({"password": "Type it again: the stored one is that of another host."})
        asked: dict[str, Any] = {
            name: cleaned.get(name) for name in self.OPTIONS if cleaned.get(name) not in (None, "")
        }
        asked["key"] = tuple(name.strip() for name in asked.get("key", "").split(",") if name.strip())
        try:
            options = ImportOptions(**asked)
            HeaderReader(mapping=options.mapping, pairs=options.columns)
        except ImportRefused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        self.instance.options = {**self.kept_options(), **options.given()}
        return cleaned

    def is_for_another_host(self) -> bool:
        """Whether there is a stored password that its host alone may have; who types an address may not know it."""
        has_secret = self.instance.sealed_password or self.instance.sealed_key
        if not has_secret or not {"address", "origin"} & set(self.changed_data):
            return False
        before, after = (host_of(str(each)) for each in (self.initial.get("address"), self.cleaned_data["address"]))
        return before != after

    def kept_options(self) -> dict[str, Any]:
        """Options of the profile that this form does not edit, kept as they are."""
        return {name: value for name, value in self.instance.options.items() if name not in self.OPTIONS}

    def save(self, commit: bool = True) -> Any:
        if self.is_for_another_host():
            self.instance.sealed_password = self.instance.sealed_key = b""
        if password := self.cleaned_data.get("password"):
            self.instance.sealed_password = seal(password)
        if private_key := self.cleaned_data.get("private_key"):
            self.instance.sealed_key = seal(private_key.replace("\r\n", "\n").strip() + "\n")
        if {"source", "seller", "address", "origin", *self.OPTIONS} & set(self.changed_data):
            self.instance.etag = self.instance.last_modified = ""  # the same file may mean something else now
        if "every_minutes" in self.changed_data or "origin" in self.changed_data:
            self.instance.next_run_at = timezone.now()
        return super().save(commit=commit)


def host_of(address: str) -> tuple[str, str, int | None] | None:
    """The host of a URL; None where it is no URL, such as a pattern of file names."""
    is_sftp = address.strip().startswith("sftp:")
    try:
        parts = split_sftp(address) if is_sftp else split_address(address, allow_private=True)
    except FetchRefused:
        return None
    return parts.scheme, str(parts.hostname), parts.port or PORTS[parts.scheme]


@admin.register(Feed)
class FeedAdmin(ConsoleAdmin):
    empty_help = "A feed fetches a supplier's file again and again, or takes the files that you upload."
    form = FeedForm
    list_display = ["name", "state", "source", "origin", "every", "last_run", "rows", "to_mend", "is_enabled"]
    list_filter = [("origin", ChoicesDropdownFilter), ("is_enabled", BooleanRadioFilter)]
    list_select_related = ["seller"]
    search_fields = ["name__icontains", "source__startswith"]
    search_help_text = "Words of the name, or the source from its beginning"
    autocomplete_fields = ["seller"]
    readonly_fields = ["trouble", "last_runs", "next_time"]
    fieldsets = [
        (None, {"fields": ["trouble", ("name", "is_enabled"), ("source", "seller")]}),
        (
            "Where its files come from",
            {
                "fields": [
                    "origin", "address", ("username", "password"), ("private_key", "host_key"),
                    ("every_minutes", "next_time"), "alert_email",
                ]
            },
        ),
        (
            "How they are read",
            {"fields": ["mapping", "columns", ("currency", "vat", "distance_unit")]},
        ),
        ("Cars that are missing from its files", {"fields": ["complete", ("missing", "misses", "most_missing")]}),
        (
            "More",
            {"classes": ["collapse"], "fields": [("make", "model"), ("delimiter", "encoding"), ("key", "new_makes")]},
        ),
        ("Its runs", {"fields": ["last_runs"]}),
    ]  # fmt: skip
    actions_detail = ["run_now", "try_now", "upload_file"]

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("catalog.add_importrun"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer runs for a feed that is fetched, and the upload of a file for one that is not."""
        feed = Feed.objects.filter(pk=object_id).first()
        fetched = feed is not None and feed.origin in FETCHED
        offered = {"run_now", "try_now"} if fetched else {"upload_file"} if feed else set()
        buttons = super().get_actions_detail(request, object_id)
        return [button for button in buttons if button.action_name.removeprefix("catalog_feed_") in offered]

    @action(
        description="Run now",
        url_path="run",
        icon="play_arrow",
        permissions=["run"],
        dialog=dialog("Run this feed", "Its file is fetched and imported, as it would be by itself.", "Run"),
    )
    def run_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.start(request, object_id, is_dry_run=False)

    @action(
        description="Dry run",
        url_path="try",
        icon="science",
        permissions=["run"],
        dialog=dialog("Try this feed", "Its file is fetched and read; no car is stored.", "Dry run"),
    )
    def try_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.start(request, object_id, is_dry_run=True)

    @action(description="Upload a file", url_path="upload", icon="upload", permissions=["run"])
    def upload_file(self, request: HttpRequest, object_id: str) -> HttpResponse:
        feed = Feed.objects.get(pk=object_id)
        return redirect(f"{reverse('admin:catalog_importrun_add')}?feed={feed.pk}")

    def start(self, request: HttpRequest, object_id: str, *, is_dry_run: bool) -> HttpResponse:
        feed = Feed.objects.get(pk=object_id)
        by = request.user if isinstance(request.user, User) else None
        try:
            run = queue_feed(feed, started_by=by, is_dry_run=is_dry_run)
        except ImportRefused as refusal:
            messages.warning(request, f"Nothing was started: {refusal}")
            return go_to(reverse("admin:catalog_feed_change", args=[feed.pk]))
        record(by=request.user, action="try" if is_dry_run else "run", target=feed, note=f"run {run.pk}")
        messages.success(request, "The run was queued. This page follows it by itself.")
        return go_to(reverse("admin:catalog_importrun_change", args=[run.pk]))

    # --- What is shown -----------------------------------------------------------------------------------------------
    @display(description="State")
    def state(self, feed: Feed) -> SafeString:
        found = troubles(feed, timezone.now())
        if not found:
            return badge("Well", "success")
        return format_html_join(" ", "{}", ((trouble_badge(each),) for each in found))

    @display(description="Needs attention")
    def trouble(self, feed: Feed) -> str | SafeString:
        if feed.pk is None:
            return NONE
        found = troubles(feed, timezone.now())
        return (
            format_html_join("", "<p>{} {}</p>", ((trouble_badge(each), said_of(each)) for each in found)) or "Nothing."
        )

    @display(description="Comes every", ordering="every_minutes")
    def every(self, feed: Feed) -> str:
        minutes = feed.every_minutes
        return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"

    @display(description="Next")
    def next_time(self, feed: Feed) -> str:
        if feed.pk is None or feed.origin not in FETCHED or not feed.is_enabled:
            return NONE
        return clock(feed.next_run_at)

    @display(description="Last run")
    def last_run(self, feed: Feed) -> str | SafeString:
        run = next(iter(recent_runs(feed)), None)
        return link_to(run, ago(run.created_at)) if run else "never"

    @display(description="Rows")
    def rows(self, feed: Feed) -> str:
        run = next((run for run in recent_runs(feed) if run.status == "done"), None)
        return f"{run.rows_read:,}" if run else NONE

    @display(description="To mend", ordering="n_bad")
    def to_mend(self, feed: Any) -> str | SafeString:
        """Bad rows of the last file that was read, and the way to where they are mended."""
        if not feed.n_bad:
            return NONE
        url = reverse("admin:catalog_importrun_rows", args=[feed.read_run])
        return format_html('<a href="{}" class="text-link">{}</a>', url, f"{feed.n_bad:,}")

    @display(description="Last runs")
    def last_runs(self, feed: Feed) -> str | SafeString:
        """Each run's counts, with the difference to the run before it."""
        if feed.pk is None:
            return NONE
        runs = list(feed.runs.filter(is_dry_run=False)[: RUNS_ON_PAGE + 1])
        if not runs:
            return "It has not run yet."
        headers = ["When", "State", "Rows", "New", "Updated", "Unchanged", "Refused", "Ended"]
        earlier = [*runs[1:], None]
        lines = [run_line(run, before) for run, before in zip(runs, earlier, strict=True)][:RUNS_ON_PAGE]
        everything = format_html(
            '<a href="{}" class="text-link">All runs</a>', list_url(ImportRun, feed__id__exact=feed.pk)
        )
        return format_html("{}{}", table(headers, lines), everything)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feed]:
        read = ImportRun.objects.filter(READ, feed=OuterRef("pk"), is_dry_run=False).order_by("-created_at")
        bad = BadRow.objects.filter(run=OuterRef("read_run")).order_by().values("run").annotate(n=Count("pk"))
        feeds = super().get_queryset(request).defer("sealed_password", "sealed_key")
        return with_recent_runs(
            feeds.annotate(read_run=Subquery(read.values("pk")[:1])).annotate(n_bad=Subquery(bad.values("n")))
        )


def run_line(run: ImportRun, before: ImportRun | None) -> list[Any]:
    state = badge(run.get_status_display(), JOB_LABELS.get(run.status))
    return [link_to(run, ago(run.created_at)), state, *counts_against(run, before)]


def counts_against(run: ImportRun, before: ImportRun | None) -> list[str]:
    """The counts of a run as ``1,200 (+35)``, the difference being to the run before."""
    shown = []
    for name in COUNTED:
        n = getattr(run, name)
        difference = n - getattr(before, name) if before else 0
        shown.append(f"{n:,} ({difference:+,})".replace("-", "−") if difference else f"{n:,}")
    return shown


def said_of(trouble: Trouble) -> str | SafeString:
    """The sentence, and the way to the run where it is looked into or decided."""
    if trouble.run is None:
        return trouble.said
    way = "Decide" if trouble.kind == "waiting" else "Look at the run"
    return format_html("{} {}", trouble.said, link_to(trouble.run, way))


def trouble_badge(trouble: Trouble) -> SafeString:
    return badge(trouble.kind.capitalize(), TROUBLE_LABELS[trouble.kind])


@show(order=15)
def feed_cards(now: datetime) -> Iterator[Card | Panel]:
    """The dashboard cards of feeds; none where there are no feeds."""
    n_feeds = Feed.objects.count()
    if not n_feeds:
        return
    found = feeds_in_trouble(now)
    note = f"of {n_feeds:,} need attention" if found else f"of {n_feeds:,}: all came as they were to"
    yield Card("Feeds in trouble", f"{len(found):,}", note, list_url(Feed), Feed, is_alert=bool(found))
    if found:
        rows = tuple((link_to(feed), trouble_badge(each), said_of(each)) for feed, said in found for each in said)
        yield Panel("Feeds that need attention", "From their last runs.", Feed, ("Feed", "What", "Why"), rows)

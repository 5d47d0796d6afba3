"""The first two steps of an import: upload a file, then say what its columns are and look at its first rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import FormView, TemplateView
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.models import User
from catalog.exceptions import ImportRefused
from catalog.imports.feeds import options_of_feed, queue_feed
from catalog.imports.headings import IGNORE, NAMED_MAPPINGS, split_words
from catalog.imports.jobs import queue_import
from catalog.imports.money import CURRENCIES
from catalog.imports.options import SELLERS, SOURCE
from catalog.imports.preview import Preview, pairs_of, preview_file, target_choices
from catalog.imports.reading import ImportOptions, source_of
from catalog.imports.uploads import as_path, keep_file, too_large
from catalog.models import Feed, ImportRun, UploadedFile
from console.auditing import record
from jobs.queue import enqueue_on_commit
from web.uploads import REFUSED

COLUMN = "column-"  # of the form's fields, before the number of the file's column
UPLOADS_SHOWN = 5


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        widget=UnfoldAdminFileFieldWidget,
        help_text="A table of text: comma, semicolon, tab or pipe; plain, or as gzip, bzip2, xz or zip. Excel "
        "workbooks, JSON and XML are read as well.",
    )
    feed = forms.ModelChoiceField(
        Feed.objects.all(),
        required=False,
        label="Feed",
        empty_label="None: the next step asks how it is read",
        widget=UnfoldAdminSelectWidget,
        help_text="A file of a supplier whose profile is known is imported at once, as that says.",
    )


class UploadView(UnfoldModelAdminViewMixin, FormView):  # type: ignore[type-arg] # no generic at run time
    """Step 1. The file is stored so that any worker can read it; nothing is imported yet."""

    title = "Import listings"
    template_name = "console/import_upload.html"
    permission_required = "catalog.add_importrun"
    form_class = UploadForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        recent = UploadedFile.objects.select_related("uploaded_by")[:UPLOADS_SHOWN]
        return super().get_context_data(**kwargs, recent=recent, max_mb=settings.IMPORT_MAX_MB)

    def form_invalid(self, form: UploadForm) -> HttpResponse:
        """A file that was too large never came to the form; "this field is required" would puzzle its sender."""
        for name in self.request.META.get(REFUSED, []):
            form.errors["file"] = form.error_class([too_large(str(name))])
        return super().form_invalid(form)

    def get_initial(self) -> dict[str, Any]:
        feed = self.request.GET.get("feed", "")
        return {"feed": int(feed)} if feed.isascii() and feed.isdecimal() and len(feed) < 10 else {}

    def form_valid(self, form: UploadForm) -> HttpResponse:
        user = self.request.user if isinstance(self.request.user, User) else None
        feed = form.cleaned_data["feed"]
        try:
            with transaction.atomic():  # a file that is no table is not kept
                upload = keep_file(file=form.cleaned_data["file"], uploaded_by=user)
                with as_path(upload, only_beginning=True) as path:
                    preview_file(path, options_of_feed(feed) if feed else ImportOptions())
                if feed:
                    run = queue_feed(feed, upload=upload, started_by=user)
                    record(by=self.request.user, action="import", target=run, note=f"feed {feed}")
        except ImportRefused as refusal:
            form.add_error("file", str(refusal))
            return self.form_invalid(form)
        if feed:
            messages.success(self.request, "The import was queued. This page follows it by itself.")
            return redirect("admin:catalog_importrun_change", run.pk)
        return redirect("admin:catalog_importrun_prepare", upload.pk)


class PrepareForm(forms.Form):
    """What may be said about a file beyond its columns; everything may be left to the file."""

    source = forms.CharField(
        required=False,
        max_length=80,
        label="Source",
        help_text="Whose listings these are. The same for every delivery, so that cars are known again.",
        widget=UnfoldAdminTextInputWidget,
    )
    mapping = forms.ChoiceField(
        required=False,
        label="Kind of file",
        choices=[("", "Find out"), *((name, name) for name in sorted(NAMED_MAPPINGS))],
        help_text="Well-known kinds bring their columns, currency and units with them.",
        widget=UnfoldAdminSelectWidget,
    )
    currency = forms.ChoiceField(
        required=False,
        label="Currency",
        choices=[("", "As the file says"), *((code, code) for code in sorted(CURRENCIES))],
        help_text="Of prices without a sign.",
        widget=UnfoldAdminSelectWidget,
    )
    distance_unit = forms.ChoiceField(
        required=False,
        label="Distances",
        choices=[("", "As the file says"), ("km", "kilometres"), ("mi", "miles")],
        help_text="Of numbers without a unit.",
        widget=UnfoldAdminSelectWidget,
    )
    make = forms.CharField(
        required=False, label="Make", help_text="For files of one make.", widget=UnfoldAdminTextInputWidget
    )
    model = forms.CharField(
        required=False, label="Model", help_text="For files of one model.", widget=UnfoldAdminTextInputWidget
    )
    delimiter = forms.CharField(
        required=False,
        label="Separator",
        help_text="One character, or comma, semicolon, tab, pipe.",
        widget=UnfoldAdminTextInputWidget,
    )
    encoding = forms.CharField(
        required=False, label="Encoding", help_text="Such as utf-8 or cp1250.", widget=UnfoldAdminTextInputWidget
    )
    key = forms.CharField(
        required=False,
        label="What distinguishes cars",
        help_text="In a file without ids: fields such as make_slug,model_slug,year,mileage_km.",
        widget=UnfoldAdminTextInputWidget,
    )

    complete = forms.ChoiceField(
        required=False,
        label="What is missing",
        choices=[
            ("", "Stays: the file may be a part"),
            (SOURCE, "Ends: the file has every car of this source"),
            (SELLERS, "Ends: the file has every car of each seller it names"),
        ],
        help_text="More missing than usual waits for your decision.",
        widget=UnfoldAdminSelectWidget,
    )
    missing = forms.ChoiceField(
        required=False,
        label="A missing car becomes",
        choices=[("", "withdrawn"), ("sold", "sold")],
        widget=UnfoldAdminSelectWidget,
    )

    new_makes = forms.BooleanField(
        required=False,
        label="Make unknown makes and models",
        help_text="Otherwise rows that name one wait, with the nearest known ones.",
        widget=UnfoldBooleanSwitchWidget,
    )
    words = forms.JSONField(required=False, widget=forms.HiddenInput, label="What words mean")

    def clean_words(self) -> dict[str, dict[str, str]]:
        """Meanings of words taught to an earlier run of the file, carried in the URL."""
        words = self.cleaned_data["words"] or {}
        is_in_shape = isinstance(words, dict) and all(isinstance(each, dict) for each in words.values())
        if not is_in_shape or not all(isinstance(value, str) for each in words.values() for value in each.values()):
            raise forms.ValidationError("Words are taught on the page of a run.")
        return words

    def options(self, columns: dict[str, str], *, is_dry_run: bool) -> ImportOptions:
        """Raises ImportRefused for what makes no sense."""
        given = self.cleaned_data
        key = tuple(name.strip() for name in given["key"].split(",") if name.strip())
        asked: dict[str, Any] = {
            name: value.strip() if isinstance(value, str) else value for name, value in given.items() if name != "key"
        }
        return ImportOptions(**asked, key=key, columns=columns, is_dry_run=is_dry_run)


class PrepareView(UnfoldModelAdminViewMixin, TemplateView):
    """Step 2. What the file is taken for, and its first rows in our terms; every answer may be changed.

    The answers stand in the address, so that the page can be kept and sent. Posting them queues a dry run or an import.
    """

    title = "Check the columns"
    template_name = "console/import_prepare.html"
    permission_required = "catalog.add_importrun"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.upload = UploadedFile.objects.filter(pk=kwargs["upload_id"]).first()
        if self.upload is None and self.has_permission():
            messages.warning(request, "That file is not kept any more: upload it again.")
            return redirect("admin:catalog_importrun_add")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = PrepareForm(self.answers())
        form.fields["source"].widget.attrs["placeholder"] = source_of(Path(self.file.name))  # what it is when left out
        problem, preview, options = "", None, ImportOptions()
        try:
            preview, options = self.look(form)
        except ImportRefused as refusal:
            problem = str(refusal)
        return super().get_context_data(
            **kwargs,
            form=form,
            upload=self.upload,
            preview=preview,
            problem=problem or (preview.problem if preview else ""),
            columns=column_fields(preview) if preview else [],
            options=options,
            step_url=reverse("admin:catalog_importrun_prepare", args=[self.file.pk]),
        )

    def post(self, request: HttpRequest, upload_id: int) -> HttpResponse:
        form = PrepareForm(self.answers())
        is_dry_run = request.POST.get("do") != "import"
        try:
            preview, options = self.look(form, is_dry_run=is_dry_run)
        except ImportRefused:
            return self.get(request)  # the page says what is wrong
        if preview.problem or "do" not in request.POST:
            return redirect(f"{request.path}?{urlencode(list(self.answers().items()))}")
        user = request.user if isinstance(request.user, User) else None
        with transaction.atomic():
            run = queue_import(upload=self.file, options=options, started_by=user)
            if not is_dry_run:
                record(by=request.user, action="import", target=run, note="without a dry run")
            enqueue_on_commit(ImportRun.TASK, run.pk)
        messages.success(request, "The job was queued. This page follows it by itself.")
        return redirect("admin:catalog_importrun_change", run.pk)

    @property
    def file(self) -> UploadedFile:
        if self.upload is None:
            raise Http404
        return self.upload

    def answers(self) -> Any:
        """The submitted values, from the query string or the body."""
        given = self.request.POST if self.request.method == "POST" else self.request.GET
        return {name: given[name] for name in given if name not in ("csrfmiddlewaretoken", "do")}

    def look(self, form: PrepareForm, *, is_dry_run: bool = True) -> tuple[Preview, ImportOptions]:
        """The file's beginning, read as the form asks. Raises ImportRefused."""
        if not form.is_valid():
            name, errors = next(iter(form.errors.items()))
            raise ImportRefused(f"{form.fields[name].label}: {errors[0]}")
        with as_path(self.file, only_beginning=True) as path:
            plain = form.options({}, is_dry_run=is_dry_run)
            options = form.options(self.pairs(path, plain), is_dry_run=is_dry_run)
            return preview_file(path, options), options

    def pairs(self, path: Path, plain: ImportOptions) -> dict[str, str]:
        """Heading -> field, where the form says something else than we would have guessed.

        Runs of the command and older addresses name headings instead of positions: ``map`` holds those.
        """
        answers = self.answers()
        chosen = {
            int(name.removeprefix(COLUMN)): value
            for name, value in answers.items()
            if name.startswith(COLUMN) and name.removeprefix(COLUMN).isdecimal()
        }
        columns = preview_file(path, plain).columns
        named = {split_words(name.removeprefix("map-")): value for name, value in answers.items() if name[:4] == "map-"}
        for column in columns:
            if split_words(column.heading) in named and column.index not in chosen:
                target = named[split_words(column.heading)]
                chosen[column.index] = "" if target == IGNORE else target
        return pairs_of(columns, chosen)


def column_fields(preview: Preview) -> list[dict[str, Any]]:
    """One line of the mapping: the column, a select with what it is read as, and some of its values."""
    choices = target_choices()
    known = {target for target, _ in choices}
    lines = []
    for column in preview.columns:
        own = [] if column.target in known else [(column.target, column.target)]
        select = UnfoldAdminSelectWidget(choices=[*choices, *own], attrs={"aria-label": f"Read {column.heading} as"})
        lines.append({"column": column, "select": select.render(f"{COLUMN}{column.index}", column.target)})
    return lines


def prepare_url(run: ImportRun) -> str:
    """Step 2 with the answers of a run that was made."""
    given = dict(run.options.get("given", {}))
    columns = given.pop("columns", {})
    answers = {name: ",".join(value) if isinstance(value, list | tuple) else value for name, value in given.items()}
    answers |= {"words": json.dumps(given["words"])} if given.get("words") else {}
    answers |= {"source": run.source} | {f"map-{heading}": target for heading, target in columns.items()}
    return f"{reverse('admin:catalog_importrun_prepare', args=[run.upload_id])}?{urlencode(answers)}"

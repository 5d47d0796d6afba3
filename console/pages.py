"""The base classes of all admin pages: lists that stay fast, read-only logs, changes that go into the audit log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AutocompleteMixin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import connection, models
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin
from unfold.forms import BaseDialogForm
from unfold.views import ChangeList

from console import auditing, lookups  # noqa: F401 - search boxes compare by a lookup of ours
from console.formats import NONE, list_url
from web.replicas import read_beside


def column(name: str, label: str) -> Callable[[Any], Any]:
    """A column of a list under a name that people know, for one whose own is short or a program's."""

    def value(row: Any) -> Any:
        return getattr(row, name)

    value.short_description = label  # type: ignore[attr-defined] # how Django names a column
    value.admin_order_field = name  # type: ignore[attr-defined] # and by what it sorts it
    return value


class EstimatingPaginator(Paginator):  # type: ignore[type-arg] # no generic at run time
    """Counts exactly up to a limit, and beyond it asks the planner.

    Pages reach as far as the exact count does: no one turns to page 15,000 of a million rows, and a database that is
    asked for it reads all the pages before.
    """

    COUNT_EXACTLY = 10_000
    template_name = "admin/estimated_pagination.html"
    is_estimate = False

    @cached_property
    def count(self) -> int:
        rows = cast("models.QuerySet[Any]", self.object_list)
        counted = rows.order_by()[: self.COUNT_EXACTLY + 1].count()
        if counted <= self.COUNT_EXACTLY:
            return counted
        self.is_estimate = True
        return max(counted, planned_rows(rows))

    @cached_property
    def num_pages(self) -> int:
        n_rows = min(self.count, self.COUNT_EXACTLY)
        return max(math.ceil(n_rows / self.per_page), 1)


def planned_rows(rows: models.QuerySet[Any]) -> int:
    """How many rows PostgreSQL expects, from its statistics: instant, and right to within a few percent."""
    plan = rows.order_by().values("pk").explain(format="json")
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"])


class ConsoleChangeList(ChangeList):
    """A change list that counts its rows once, not twice, where neither search nor filter is set."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ConsoleAdmin(ModelAdmin):
    """The base class of all our admin pages."""

    paginator: ClassVar[Any] = EstimatingPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a facet is one count per choice over the whole table
    list_per_page = 50
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    warn_unsaved_form = True
    compressed_fields = False  # labels stand above their fields, so that tables have the width of the page
    ordering: ClassVar[Any] = ["-pk"]  # the one order that every table has an index for
    empty_value_display = NONE
    empty_help: ClassVar[str] = ""  # what will stand in an empty list, and where it comes from
    shown_to_viewers: ClassVar[
        Mapping[str, Sequence[Any]]
    ] = {}  # by title of a fieldset, instead of fields of the form
    pages_beside: ClassVar[frozenset[str]] = frozenset()  # names of reports that a replica may answer, as the list

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A field that only the form has is empty where no form is shown: its row's values stand there in words."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not self.shown_to_viewers or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (title, {**options, "fields": self.shown_to_viewers.get(title, options["fields"])})
            for title, options in fieldsets
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return ConsoleChangeList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Fields that are edited in the list have no label there, so each is named after its row and column."""
        made = super().get_changelist_form(request, **kwargs)

        class NamedForm(made):  # type: ignore[misc, valid-type] # made at run time
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                for field in self.fields.values():
                    field.widget.attrs.setdefault("aria-label", f"{self.instance}: {field.label}")

        return NamedForm

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, models.URLField):
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    # --- Keys that cannot be any ------------------------------------------------------------------------------------
    @property
    def urls(self) -> list[URLPattern]:
        """Every page of a row answers 404 to a key that cannot be one, those of Django and Unfold too."""
        return [self._without_nonsense(pattern) for pattern in super().urls]

    def _without_nonsense(self, pattern: URLPattern) -> URLPattern:
        view = pattern.callback

        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            key = kwargs.get("object_id")
            if key is not None and self.admin_site.has_permission(request) and not self.can_be_key(unquote(str(key))):
                raise Http404
            try:
                if request.method in ("GET", "HEAD") and self.is_beside(pattern.name or ""):
                    return read_beside("console", lambda: whole(view(request, *args, **kwargs)))
                return view(request, *args, **kwargs)
            except self.model.DoesNotExist as error:  # a row that is gone by the time its page looks for it
                raise Http404 from error

        return URLPattern(pattern.pattern, wrapped, pattern.default_args, pattern.name)

    def is_beside(self, name: str) -> bool:
        """Whether a page is a list or report, which a replica may answer. What is changed is read from the primary."""
        return name == f"{self.opts.app_label}_{self.opts.model_name}_changelist" or name in self.pages_beside

    def can_be_key(self, key: str) -> bool:
        return can_be_value(self.opts.pk, key)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Drop selected keys that cannot be keys of this model."""
        if helpers.ACTION_CHECKBOX_NAME in request.POST:
            given = request.POST.copy()
            keys = [str(key) for key in given.getlist(helpers.ACTION_CHECKBOX_NAME)]
            given.setlist(helpers.ACTION_CHECKBOX_NAME, [key for key in keys if self.can_be_key(key)])
            request.POST = given  # type: ignore[assignment]
        return super().changelist_view(request, extra_context)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return forgiving(super().formfield_for_foreignkey(db_field, request, **kwargs))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return forgiving(super().formfield_for_manytomany(db_field, request, **kwargs))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A form that is sent as it was opened writes nothing: no time of change moves, and no work is handed out."""
        if form.changed_data or not change:
            super().save_model(request, obj, form, change)

    # --- What was changed goes into the audit log -------------------------------------------------------------------
    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Called once a form was saved and before it is logged: the one point that knows both sides."""
        form.instance.audited_changes = auditing.changes_of(form)
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _, after = obj.__dict__.pop("audited_changes", (None, None))
        auditing.record(by=request.user, action="added", target=obj, after=after)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        before, after = obj.__dict__.pop("audited_changes", (None, None))
        note = message if isinstance(message, str) else ""
        if note or after or before is None:  # a form that was saved as it was is no change
            auditing.record(by=request.user, action="changed", target=obj, before=before, after=after, note=note)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for row in queryset:
            auditing.record(by=request.user, action="removed", target=row, before=auditing.snapshot(row))
        return super().log_deletions(request, queryset)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Show the audit log of this row in place of Django's history."""
        if not request.user.has_perm("accounts.view_auditentry"):
            return super().history_view(request, object_id, extra_context)
        return redirect(
            list_url(
                auditing.audit_log().model, model__exact=self.opts.label_lower, object_id__exact=unquote(object_id)
            )
        )

    def in_own_pages(self, request: HttpRequest) -> bool:
        """Whether the request is for this model's pages, rather than a check made on the way from another's."""
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        return bool(match and (match.url_name or "").startswith(own))


def whole(response: HttpResponseBase) -> HttpResponseBase:
    """The page written out, with all that it reads; a file is not, and is read from the primary as it is sent."""
    return response.render() if isinstance(response, SimpleTemplateResponse) else response


def can_be_value(field: Any, text: str) -> bool:
    """Whether a column can hold what this text says; rows are not looked for."""
    try:
        field.get_db_prep_value(field.to_python(text), connection)
        field.run_validators(field.to_python(text))
    except (ValidationError, ValueError, TypeError, OverflowError):
        return False
    return "\0" not in text


class ForgivesNonsense:
    """A choice by autocompletion that shows its form again when what was sent cannot be a key; Django looks it up."""

    def optgroups(self, name: str, value: list[Any], attr: Any = None) -> Any:
        column = self.field.target_field  # type: ignore[attr-defined]
        possible = [each for each in value if each in (None, "") or can_be_value(column, str(each))]
        return super().optgroups(name, possible, attr)  # type: ignore[misc]


@cache
def _forgiving_kind(kind: type) -> type:
    return type(kind.__name__, (ForgivesNonsense, kind), {})


def forgiving(formfield: Any) -> Any:
    """The same field; a choice by autocompletion forgives what cannot be a key, other choices do so by themselves."""
    if formfield is not None and isinstance(formfield.widget, AutocompleteMixin):
        kind: Any = type(formfield.widget)
        formfield.widget.__class__ = _forgiving_kind(kind)
    return formfield


class ReadOnlyAdmin(ConsoleAdmin):
    """Read-only rows that the system writes; they are deleted only with the row they belong to."""

    empty_help = "The site writes them by itself, as it works."
    actions: Any = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Asked on a buyer's delete page, the answer is the user's permission; on our own pages it is no."""
        return not self.in_own_pages(request) and super().has_delete_permission(request, obj)


def dialog(title: str, description: str, button: str, form: type[BaseDialogForm] | None = None) -> dict[str, Any]:
    """What Unfold asks before it does what a button says; a form of no fields where none is given."""
    return {"title": title, "description": description, "form_class": form, "form_submit_text": button}


def go_to(url: str) -> HttpResponse:
    """The answer of a dialog that has done its work; htmx, which sent it, follows this header to a new page."""
    return HttpResponse(headers={"HX-Redirect": url})

"""Small pieces of text and markup that pages share: spans of time, labels, links, tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.utils import quote
from django.db import models
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

NONE = "–"

NBSP = "\u00a0"  # keeps a number and its unit on one line


def counted(n: int, opts: Any) -> str:
    """``1 listing``, ``2 listings``."""
    return f"{n:,} {opts.verbose_name if n == 1 else opts.verbose_name_plural}"


UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(delta: timedelta) -> str:
    """A length of time in its largest unit: ``3 d``, ``5 h``, ``12 min``, ``8 s``."""
    seconds = max(int(delta.total_seconds()), 0)
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds // size:,}{NBSP}{unit}"
    return f"0{NBSP}s"


def ago(moment: datetime | None) -> str:
    return NONE if moment is None else f"{span(timezone.now() - moment)}{NBSP}ago"


def badge(text: str, kind: str | None = "") -> SafeString:
    """A coloured label: success, info, warning, danger, or plain. In lists and on pages alike, unlike Unfold's own."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": kind})


def clock(moment: datetime | None) -> str:
    """A time on one line, in the site's time zone, which it names: ``21 Nov 08:34 UTC``; of another year, with it."""
    if moment is None:
        return NONE
    local, now = timezone.localtime(moment), timezone.localtime()
    shown = f"{local:%d %b %H:%M %Z}" if local.year == now.year else f"{local:%d %b %Y %H:%M %Z}"
    return shown.replace(" ", NBSP)


def stamp(moment: datetime | None) -> str:
    """A time in text that is kept or searched: always with its year, and plain spaces; ``21 Nov 2026 08:34 UTC``."""
    return NONE if moment is None else f"{timezone.localtime(moment):%d %b %Y %H:%M %Z}"


def link_to(obj: models.Model | None, text: str | None = None) -> str | SafeString:
    """A link to a row's own page; plain text where it has none."""
    if obj is None:
        return NONE
    try:
        url = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[quote(obj.pk)])
    except NoReverseMatch:
        return text or str(obj)
    return format_html('<a href="{}" class="text-link">{}</a>', url, text or str(obj))


def page_of(row: models.Model) -> str:
    """The address of a row's own page; a key in letters (``msg_26…``) is written as the admin reads it."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])


def list_link(model: type[models.Model], text: str, **filters: Any) -> SafeString:
    """A link to the rows of a model that match."""
    return format_html('<a href="{}" class="text-link">{}</a>', list_url(model, **filters), text)


def list_url(model: type[models.Model], **filters: Any) -> str:
    opts = model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", query=filters or None)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> SafeString:
    """A small table inside a page; the cells are escaped unless they are safe already."""
    return render_to_string("admin/small_table.html", {"headers": headers, "rows": rows, "caption": caption})

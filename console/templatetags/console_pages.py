"""Template tags for breadcrumbs, with the names of the menu."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import template
from django.db.models.options import Options
from django.urls import reverse

from console.site import NAVIGATION

register = template.Library()


@register.simple_tag
def crumbs(parts: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """A page's way from the menu: the section and the name that the menu has for it.

    ``parts`` are Unfold's: the application, its rows, and more. A page of its own has a line of the menu of its own.
    """
    if len(parts) < 2:
        return parts
    by_link = {link: (section, title) for section, title, link in lines()}
    link = str(parts[1].get("link", ""))
    if path in by_link and path != link:
        section, title = by_link[path]
        return [{"title": section}, {"title": title}]
    if link in by_link:
        section, title = by_link[link]
        return [{"title": section}, {**parts[1], "title": title}, *parts[2:]]
    return parts


@register.simple_tag
def name_of_list(opts: Options[Any]) -> str:
    """What the menu calls the rows of a list, within a sentence; their own name where the menu has none for them."""
    address = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    title = next((title for _, title, link in lines() if link == address), "")
    if not title:
        return str(opts.verbose_name_plural)
    return title if title[1:2].isupper() else title[0].lower() + title[1:]


def lines() -> Iterator[tuple[str, str, str]]:
    """Section, title and address of each line of the menu that is a whole page."""
    for group in NAVIGATION:
        for line in group["items"] if "title" in group else ():
            if not callable(line["link"]):
                yield str(group["title"]), str(line["title"]), str(line["link"])

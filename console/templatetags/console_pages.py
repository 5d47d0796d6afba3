"""What the pages of the console say of where they are: in the words of the menu."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import template

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


def lines() -> Iterator[tuple[str, str, str]]:
    """Section, title and address of each line of the menu that is a whole page."""
    for group in NAVIGATION:
        for line in group["items"] if "title" in group else ():
            if not callable(line["link"]):
                yield str(group["title"]), str(line["title"]), str(line["link"])

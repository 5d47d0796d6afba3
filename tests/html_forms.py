"""What a browser would send for a form of a page, left as it is."""

from __future__ import annotations

from html.parser import HTMLParser

NOT_SENT = {"submit", "button", "reset", "image", "file"}


class _Fields(HTMLParser):
    """Names and values of the largest form that is posted: pages hold small ones beside it, as for logging out."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, list[str]]] = []
        self._is_posted = False
        self._select = self._textarea = ""
        self._text: list[str] = []

    @property
    def _form(self) -> dict[str, list[str]]:
        return self.forms[-1] if self._is_posted else {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self._is_posted = (given.get("method") or "").lower() == "post"
            if self._is_posted:
                self.forms.append({})
        elif "disabled" in given:
            return
        elif tag == "input" and name and given.get("type", "text") not in NOT_SENT:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._form.setdefault(name, []).append(value or ("on" if given.get("type") == "checkbox" else ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self._form.setdefault(self._select, []).append(value)
        elif tag == "textarea":
            self._textarea, self._text = name, []

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_posted = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._textarea:
            self._form.setdefault(self._textarea, []).append("".join(self._text).removeprefix("\n"))
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text.append(data)


def fields_of(page: str) -> dict[str, list[str]]:
    """Of the largest form that is posted, name by name; nothing for a page without one."""
    parser = _Fields()
    parser.feed(page)
    return max(parser.forms, key=len, default={})

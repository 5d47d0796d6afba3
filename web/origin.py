"""Whether a browser sends a request on behalf of a page of another site."""

from urllib.parse import urlsplit

from django.http import HttpRequest

OWN_PAGES = ("", "same-origin", "none")  # of Sec-Fetch-Site; "none" is an address that a person typed


def is_from_another_site(request: HttpRequest) -> bool:
    """Judged by Origin, Referer and Sec-Fetch-Site. Programs send none of them, and are no page of another site."""
    if request.headers.get("Sec-Fetch-Site", "").lower() not in OWN_PAGES:
        return True
    host = request.get_host().lower()
    pages = (request.headers[name] for name in ("Origin", "Referer") if name in request.headers)
    return any(_host_of(page) != host for page in pages)


def _host_of(page: str) -> str:
    """Nothing for what is no address, such as the origin "null" of a sandboxed page."""
    try:
        return urlsplit(page).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""

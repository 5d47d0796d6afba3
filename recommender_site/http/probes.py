"""What monitoring asks is answered before anything else looks at the request.

A probe comes from inside: by an address that is no name of the site (``ALLOWED_HOSTS``), and without HTTPS. Its answer
depends on neither, needs no session, and is not counted among the requests of the site.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from recommender_site.http.health import alive, ready
from recommender_site.http.metrics import metrics

View = Callable[[HttpRequest], HttpResponse]
PROBES: dict[str, View] = {"/healthz": alive, "/readyz": ready, "/metrics": metrics}


class ProbesMiddleware:
    """Before any that may refuse or redirect a probe."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info.removesuffix("/"))
        return probe(request) if probe else self.get_response(request)

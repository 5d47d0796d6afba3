"""Content security policy: strict for everything, a little looser where the admin and the API docs need it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

STRICT = "default-src 'self'; img-src 'self' data: https:; object-src 'none'; frame-ancestors 'none'; base-uri 'self'"
# Alpine.js evaluates expressions, and Swagger UI, ReDoc and the browsable API carry inline scripts and styles
LOOSE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: https:; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'; base-uri 'self'"
)


class ContentSecurityPolicyMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = LOOSE if request.path.startswith(("/admin/", "/api/")) else STRICT
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

"""Probes: ``/healthz`` says that this process lives, ``/readyz`` that it can do its work.

Ready means that the database answers. Without the cache or the broker the site is slower, but right: that is
"degraded", still with status 200, since a balancer that took every process out of service would make it worse.
What exactly went wrong goes to the log; the answer names what does not answer, and no addresses.
"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from web.errors import RETRY_AFTER_SECONDS
from web.servers import problems_found


@never_cache
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """503 when the database does not answer, otherwise 200. The servers are asked at the same time."""
    problems = problems_found()
    answers = {name: "does not answer" if problem else "ok" for name, problem in problems.items()}
    status = "unavailable" if problems["database"] else "degraded" if any(problems.values()) else "ok"
    response = JsonResponse({"status": status, **answers}, status=503 if problems["database"] else 200)
    if problems["database"]:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response

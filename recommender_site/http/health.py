"""Probes: ``/healthz`` says that this process lives, ``/readyz`` that it and everything it needs can work.

What exactly went wrong goes to the log; the answer names what does not answer, and no addresses.
"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from web.servers import problems_found


@never_cache
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when all of them answer, otherwise 503 and which do not. They are asked at the same time."""
    problems = problems_found()
    answers = {name: "does not answer" if problem else "ok" for name, problem in problems.items()}
    is_ready = not any(problems.values())
    return JsonResponse({"status": "ok" if is_ready else "unavailable", **answers}, status=200 if is_ready else 503)

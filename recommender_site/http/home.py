"""The one public page: what runs here, and links to its entry points."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.api.throttles import throttled_page


@throttled_page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "index.html", {"is_demo": settings.DEMO_MODE})

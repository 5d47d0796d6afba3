"""The page behind the links that end alerts: no login, and one click from a mail program (RFC 8058)."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.api.throttles import throttled_page
from recommendations.alerts.mail import language_of
from recommendations.alerts.unsubscribing import LinkRefused, Subscription, subscription_of, unsubscribe


@never_cache
@throttled_page
@csrf_exempt  # the token in the path is what is shown; mail programs that post have no cookie of ours
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, since programs that look at links before people do must end nothing; POST ends it."""
    try:
        subscription = subscription_of(token)
    except LinkRefused:
        raise Http404 from None
    if request.method == "POST":
        unsubscribe(subscription)
    with translation.override(language_of(subscription.buyer)):
        return render(request, "alerts/unsubscribe.html", said(subscription, is_done=request.method == "POST"))


def said(subscription: Subscription, *, is_done: bool) -> dict[str, str]:
    search = subscription.search
    of_search = _("Alerts of the saved search “%(name)s”") % {"name": search.name} if search else ""
    return {
        "language": translation.get_language() or "en",
        "title": of_search or _("Alerts of all saved searches"),
        "text": _("You get no more of these alerts.") if is_done else _("Do you want to get no more of these alerts?"),
        "button": "" if is_done else _("Unsubscribe"),
    }

"""Alerts by e-mail: to the address of an account, with links that unsubscribe by one click (RFC 8058)."""

from __future__ import annotations

import logging
import smtplib
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Buyer
from catalog.units import money
from jobs.queue import enqueue
from recommendations.alerts.sending import gets_alerts, gets_mail
from recommendations.alerts.unsubscribing import unsubscribe_url
from recommendations.buyers.exclusions import dismissed_listings
from recommendations.models import AlertMessage, CarAlert
from recommendations.telemetry import ALERT_MAILS

logger = logging.getLogger(__name__)

ATTEMPTS = 6  # the last some hours after the first; then the cars are old news
LETTERS = 100  # of a name
FIRST_WAIT, WAIT_FACTOR = timedelta(minutes=1), 4
REFUSED_FOR_GOOD = (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)
Mail = AlertMessage.Mail


def mail_alert(message_id: str, now: datetime) -> bool:
    """Send one message by e-mail, if it is still waiting and due; returns whether it was sent.

    The row is locked meanwhile, so that two workers send it once. If a worker dies after the server accepted it, it is
    sent again.
    """
    with transaction.atomic():
        due = AlertMessage.objects.filter(pk=message_id, mail=Mail.WAITING, mail_next_at__lte=now)
        message = due.select_for_update(skip_locked=True, of=("self",)).select_related("buyer__user").first()
        if message is None:
            return False
        return _send(message, now)


def mail_due(now: datetime) -> int:
    """Enqueue messages to be tried again, or lost; returns how many."""
    due = AlertMessage.objects.filter(mail=Mail.WAITING, mail_next_at__lte=now).values_list("pk", flat=True)
    return sum(enqueue("recommendations.mail_alert", str(pk)) for pk in due[:1_000])


def _send(message: AlertMessage, now: datetime) -> bool:
    message.mail_attempts += 1
    email = email_of(message)
    if email is None:
        message.mail, message.mail_error = Mail.FAILED, "Nothing was left to say, or the buyer gets no e-mail any more."
    else:
        try:
            email.send()
            message.mail, message.mail_error = Mail.SENT, ""
        except (OSError, smtplib.SMTPException) as problem:
            is_last = message.mail_attempts >= ATTEMPTS or isinstance(problem, REFUSED_FOR_GOOD)
            message.mail = Mail.FAILED if is_last else Mail.WAITING
            message.mail_error = " ".join(str(problem).split())[:300]
            message.mail_next_at = now + FIRST_WAIT * WAIT_FACTOR ** (message.mail_attempts - 1)
            logger.warning("alert %s was not mailed: %s", message.pk, message.mail_error)
    ALERT_MAILS.labels(message.mail).inc()
    message.save(update_fields=["mail", "mail_attempts", "mail_error", "mail_next_at"])
    return message.mail == Mail.SENT


def email_of(message: AlertMessage) -> EmailMessage | None:
    """Return the e-mail; None where none of its cars is for sale any more, or the buyer unsubscribed or hid them
    since."""
    buyer = message.buyer
    if not (gets_alerts(buyer) and gets_mail(buyer)):
        return None
    cars = message.cars.select_related("listing__make", "listing__car_model__make", "search").order_by("rank")
    hidden = dismissed_listings(buyer)
    alerts = [
        each for each in cars if each.listing.is_available and each.search.is_alerting and each.listing_id not in hidden
    ]
    if not alerts:
        return None
    url = unsubscribe_url(buyer)
    with translation.override(language_of(buyer)):
        subject = ngettext("%(n)d car for your saved searches", "%(n)d cars for your saved searches", len(alerts))
        last = _("You get this because you saved searches. End all alerts here:")
        body = "\n\n".join([*map(paragraph_of, alerts), f"{last}\n{url}"])
    return EmailMessage(
        subject=subject % {"n": len(alerts)},
        body=body,
        to=[buyer.user.email],  # type: ignore[union-attr]
        headers={"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    )


def paragraph_of(alert: CarAlert) -> str:
    """Return the text about a car. Sellers' free text is cut, and put on one line."""
    listing = alert.listing
    price = "" if listing.price is None else f", {money(listing.price, listing.currency)}"
    cheaper = f" ({_('cheaper')})" if alert.reason == CarAlert.Reason.CHEAPER else ""
    search = _("Your saved search: %(name)s") % {"name": one_line(alert.search.name)}
    return "\n".join(filter(None, [f"{one_line(listing.name)}{price}{cheaper}", listing.url, search]))


def one_line(text: str) -> str:
    return " ".join(text.split())[:LETTERS]


def language_of(buyer: Buyer) -> str:
    """Return the buyer's language if there are texts in it, else the site's."""
    wanted = buyer.locale.replace("_", "-").lower()
    known = [code for code, _name in settings.LANGUAGES]
    found = [code for code in known if wanted and wanted.partition("-")[0] == code.partition("-")[0]]
    return found[0] if found else settings.LANGUAGE_CODE

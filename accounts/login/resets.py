"""A new password by a link that is sent by e-mail, where e-mail is configured (``EMAIL_URL``)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import (
    PasswordResetCompleteView,
    PasswordResetConfirmView,
    PasswordResetDoneView,
    PasswordResetView,
)
from django.db import transaction
from django.http import HttpResponse

from accounts.exceptions import TooManyTries
from accounts.login.attempts import count_reset
from accounts.models import FailedLogins, User
from console.auditing import record
from web.addresses import address_of


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg] # no generic at run time
    """Ends every session and token, as any new password does, and opens the account if failed logins closed it."""

    @transaction.atomic
    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        FailedLogins.objects.filter(kind=FailedLogins.Kind.ACCOUNT, name=user.email.lower()).delete()
        record(by=user, action="changed", target=user, note="A new password, by a link sent by e-mail.")
        return user


class ForgottenView(PasswordResetView):
    """Asks for an address. The answer is the same whether an account has it or not."""

    template_name = "account/form.html"
    email_template_name = "account/reset_email.txt"
    subject_template_name = "account/reset_subject.txt"
    extra_context = {
        "title": "Forgotten your password?",
        "text": "A link to set a new one is sent to your address, if an account has it.",
        "button": "Send the link",
    }

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            count_reset(address_of(self.request.META))
        except TooManyTries as refusal:
            form.add_error(None, "Too many links were asked for. Please try again later.")
            response = self.form_invalid(form)
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(refusal.seconds)
            return response
        return super().form_valid(form)


class SentView(PasswordResetDoneView):
    template_name = "account/note.html"
    extra_context = {
        "title": "Look into your mail",
        "text": "If an account has this address, a link is on its way. It works for three days, and once.",
    }


class NewPasswordView(PasswordResetConfirmView):
    template_name = "account/form.html"
    form_class = NewPasswordForm
    extra_context = {"text": "Sessions and tokens of before are over then.", "button": "Set the password"}


class NewPasswordDoneView(PasswordResetCompleteView):
    template_name = "account/note.html"
    extra_context = {"title": "Your new password is set", "text": "You can log in with it now."}

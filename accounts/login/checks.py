"""Settings of logins that must agree."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def single_sign_on_is_complete(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.OIDC_ISSUER and not (settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET):
        hint = "Set OIDC_CLIENT_ID and OIDC_CLIENT_SECRET (or OIDC_CLIENT_SECRET_FILE) as the provider gave them."
        return [Error("OIDC_ISSUER is set, but not by which client we are known there.", hint=hint, id="accounts.E001")]
    return []

"""Second factors and single sign-on: who has which. People set up their own; here they are seen and removed."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.finding import OF_A_PERSON, person_fields
from accounts.admin.users import is_above, is_superuser
from console.auditing import record
from console.pages import ConsoleAdmin

# People are added under users, and the provider is a setting.
admin.site.unregister([EmailAddress, SocialApp, SocialToken, SocialAccount, Authenticator])


class OfAUser(ConsoleAdmin):
    """Rows that people make for themselves: to be seen and removed. A superuser's are a superuser's to remove."""

    list_select_related = ["user"]
    search_fields: Any = person_fields("user__")
    search_help_text = OF_A_PERSON

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may_reach = obj is None or not hasattr(obj, "user") or is_superuser(request) or not is_above(obj.user)
        return super().has_delete_permission(request, obj) and may_reach

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """An entry about the user, without the row's columns: they hold secrets."""
        for row in queryset:
            note = f"{row._meta.verbose_name} removed: {row}.".capitalize()
            record(by=request.user, action="changed", target=row.user, note=note)

    def get_actions(self, request: HttpRequest) -> Any:
        """One by one: whether a row may go depends on whose it is."""
        return {}


@admin.register(Authenticator)
class SecondFactorAdmin(OfAUser):
    """The secret is not shown: with it a code could be made."""

    list_display = ["user", "kind", "created_at", "last_used_at"]
    list_filter = [("type", ChoicesDropdownFilter)]
    fields = [("user", "kind"), ("created_at", "last_used_at")]
    readonly_fields = ["user", "kind", "created_at", "last_used_at"]

    @display(description="Kind")
    def kind(self, factor: Authenticator) -> str:
        return str(factor.get_type_display())


@admin.register(SocialAccount)
class SignOnAdmin(OfAUser):
    list_display = ["user", "uid", "date_joined", "last_login"]
    fields = [("user", "uid"), ("date_joined", "last_login")]
    readonly_fields = ["user", "uid", "date_joined", "last_login"]

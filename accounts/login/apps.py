"""Which admin site ``admin.site`` is."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    default_site = "accounts.login.site.ConsoleSite"

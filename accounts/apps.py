from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.login import checks, receivers  # noqa: F401 (they look and listen)

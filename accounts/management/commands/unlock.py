"""``manage.py unlock``: let an account, an address or everyone log in again at once."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from accounts.login.attempts import account_name, open_again
from accounts.login.two_factor import remove_factors
from accounts.models import FailedLogins, User
from web.addresses import network_of


class Command(BaseCommand):
    help = "Forget failed logins, so that an account or an address that is closed may be tried again at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="an account's email address, or a network address")
        parser.add_argument("--second-factor", action="store_true", help="and remove the account's second factors")
        parser.add_argument("--all", action="store_true", help="every account and address")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["name"]) == options["all"]:
            raise CommandError("Name an account or an address, or say --all.")
        rows = FailedLogins.objects.all()
        if name := options["name"]:
            account = account_name(name)
            rows = rows.filter(Q(name__in=[account, network_of(name)]) | Q(name__endswith=f" {account}"))
        n_opened = open_again(rows, by=None, note="Opened by manage.py.")
        self.stdout.write(f"{n_opened} counts of failed logins were forgotten.")
        if options["second_factor"]:
            user = User.objects.filter(email__iexact=options["name"] or "").first()
            if user is None:
                raise CommandError("No account has this address.")
            n_removed = remove_factors(user, by=None)
            self.stdout.write(f"{n_removed} second factors were removed.")

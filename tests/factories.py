"""One factory per model: valid, boring rows; a trait names each state. Nothing is random."""

from datetime import UTC, datetime

import factory
from django.contrib.auth.models import Group
from factory.django import DjangoModelFactory

from accounts.models import ApiKey, Buyer, User
from catalog.models import CarModel, Listing, Make, PriceChange, Seller
from recommendations.models import EventKind, Interaction, Placement, Preference, RankerVersion, ServedList

PUBLISHED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        operator = factory.Trait(is_staff=True, is_superuser=True)

    email = factory.Sequence("person{}@example.com".format)
    first_name = "Pat"
    last_name = "Doe"
    password = factory.django.Password("password")


def user_of_role(role: str) -> User:
    """Staff with one role and no other right."""
    person = UserFactory(is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return person


class BuyerFactory(DjangoModelFactory):
    class Meta:
        model = Buyer

    class Params:
        guest = factory.Trait(user=None, visitor_key=factory.Sequence("visitor-{}".format))
        external = factory.Trait(user=None, external_id=factory.Sequence("client-{}".format))

    user = factory.SubFactory(UserFactory)


class ApiKeyFactory(DjangoModelFactory):
    class Meta:
        model = ApiKey

    class Params:
        secret = "fc_a-secret-for-tests"

    name = "a client"
    prefix = "fc_a-secret"
    hashed_key = factory.LazyAttribute(lambda key: ApiKey.digest(key.secret))
    scopes = [ApiKey.Scope.READ, ApiKey.Scope.INGEST]


class MakeFactory(DjangoModelFactory):
    class Meta:
        model = Make
        django_get_or_create = ["slug"]

    name = "Skoda"
    slug = factory.LazyAttribute(lambda make: make.name.lower().replace(" ", "-"))


class CarModelFactory(DjangoModelFactory):
    class Meta:
        model = CarModel
        django_get_or_create = ["make", "slug"]

    make = factory.SubFactory(MakeFactory)
    name = "Octavia"
    slug = factory.LazyAttribute(lambda model: model.name.lower().replace(" ", "-"))


class SellerFactory(DjangoModelFactory):
    class Meta:
        model = Seller

    name = factory.Sequence("Garage {}".format)


class ListingFactory(DjangoModelFactory):
    class Meta:
        model = Listing

    class Params:
        draft = factory.Trait(status="draft", published_at=None)
        reserved = factory.Trait(status="reserved")
        sold = factory.Trait(status="sold", ended_at=datetime(2026, 2, 1, 12, tzinfo=UTC))
        withdrawn = factory.Trait(status="withdrawn", ended_at=datetime(2026, 2, 1, 12, tzinfo=UTC))
        expired = factory.Trait(status="expired", ended_at=datetime(2026, 4, 1, 12, tzinfo=UTC))
        bare = factory.Trait(
            seller=None, make=None, car_model=None, title="", year=None, price=None, mileage_km=None,
            fuel="", gearbox="", body="", power_kw=None, engine_l=None,
        )  # fmt: skip

    external_id = factory.Sequence("car-{}".format)
    seller = factory.SubFactory(SellerFactory)
    car_model = factory.SubFactory(CarModelFactory)
    make = factory.LazyAttribute(lambda listing: listing.car_model and listing.car_model.make)
    title = factory.LazyAttribute(lambda listing: str(listing.car_model or ""))
    year = 2019
    price = 12_000
    mileage_km = 60_000
    fuel = "petrol"
    gearbox = "manual"
    body = "hatchback"
    power_kw = 85
    engine_l = 1.4
    status = "live"
    published_at = PUBLISHED_AT


class PriceChangeFactory(DjangoModelFactory):
    class Meta:
        model = PriceChange

    listing = factory.SubFactory(ListingFactory)
    old_price = 13_000
    new_price = 12_000
    currency = "GBP"


class InteractionFactory(DjangoModelFactory):
    class Meta:
        model = Interaction

    event_id = factory.Sequence("event-{}".format)
    buyer = factory.SubFactory(BuyerFactory)
    kind = factory.LazyFunction(lambda: EventKind.objects.get(slug="view"))
    listing = factory.SubFactory(ListingFactory)
    occurred_at = datetime(2026, 1, 15, 12, tzinfo=UTC)


class RankerVersionFactory(DjangoModelFactory):
    class Meta:
        model = RankerVersion

    class Params:
        live = factory.Trait(status="live", promoted_at=PUBLISHED_AT)

    status = "ready"


class PlacementFactory(DjangoModelFactory):
    class Meta:
        model = Placement
        django_get_or_create = ["slug"]

    slug = "home"
    name = "Home page"


class PreferenceFactory(DjangoModelFactory):
    class Meta:
        model = Preference

    buyer = factory.SubFactory(BuyerFactory)
    version = factory.SubFactory(RankerVersionFactory)
    mean = factory.LazyFunction(lambda: [0.0] * 128)
    covariance = b""
    basis = "test"
    computed_at = PUBLISHED_AT


class ServedListFactory(DjangoModelFactory):
    class Meta:
        model = ServedList

    buyer = factory.SubFactory(BuyerFactory)
    served_at = PUBLISHED_AT
    listing_ids: list[int] = []
    scores: list[float] = []
    sources: list[str] = []

"""One row of every model that has pages in the admin, so that a test can open all of them."""

import zlib
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.db.models import Model
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.models import GroupResult, TaskResult
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import ApiKey, AuditEntry, Buyer, ErasedId, FailedLogins, TokenFamily, User
from accounts.tokens import log_in
from catalog.imports.feeds import queue_feed
from catalog.imports.jobs import run_import
from catalog.imports.uploads import keep_file
from catalog.models import (
    CarModel,
    Feed,
    ImportedListing,
    ImportMend,
    ImportProblem,
    ImportRun,
    ImportUndo,
    Listing,
    ListingChange,
    ListingNews,
    Make,
    PriceChange,
    QualityReport,
    Seller,
    UploadedChunk,
    UploadedFile,
)
from recommendations.models import (
    AlertMessage,
    AlertSettings,
    BotMark,
    BuyerSeller,
    CarAlert,
    Evaluation,
    EvaluationFigure,
    EventKind,
    Experiment,
    FeedFit,
    FeedJudgement,
    Impression,
    Interaction,
    MerchandisingChange,
    MerchandisingRule,
    Placement,
    Preference,
    RankerArtifact,
    RankerVersion,
    SavedSearch,
    SeedRun,
    ServedList,
    ShownAgain,
    SimulatedTaste,
    TasteMap,
    TrainingRun,
    WaitingEvent,
    WeightTrial,
)
from tests import factories
from webhooks.delivery import give_secret
from webhooks.models import Delivery, Endpoint, Message
from webhooks.publishing import publish_test

numbers = count(1)


def listing(**fields: Any) -> Listing:
    """A listing of its own make, model and seller, so that a page that looks up each of them is found out."""
    make = factories.MakeFactory(name=f"Make {next(numbers)}")
    return factories.ListingFactory(car_model=factories.CarModelFactory(make=make), **fields)


def interaction() -> Interaction:
    served = served_list()
    return factories.InteractionFactory(
        buyer=served.buyer, listing_id=served.listing_ids[0], served_list=served, position=1
    )


def served_list() -> ServedList:
    return factories.ServedListFactory(
        listing_ids=[listing().pk], scores=[0.5], sources=["utility"],
        placement=factories.PlacementFactory(slug=f"spot-{next(numbers)}"), version=factories.RankerVersionFactory(),
    )  # fmt: skip


def listing_change() -> ListingChange:
    """Triggers write these, so a listing is made and its line is looked up."""
    return ListingChange.objects.filter(listing_id=listing().pk).latest("pk")


def listing_news() -> ListingNews:
    return ListingNews.objects.filter(listing_id=listing().pk).latest("pk")


def car_alert() -> CarAlert:
    buyer, car = factories.BuyerFactory(), listing()
    search = SavedSearch.objects.create(buyer=buyer, name="Estates", query={"bodies": ["estate"]})
    return CarAlert.objects.create(buyer=buyer, search=search, listing=car, car=f"#{car.pk}", reason="new")


def webhook_endpoint() -> Endpoint:
    endpoint = Endpoint(name=f"Shop {next(numbers)}", url="https://example.com/hook", events=["listing.sold"])
    give_secret(endpoint)
    endpoint.save()
    return endpoint


def webhook_delivery() -> Delivery:
    return publish_test(webhook_endpoint()).deliveries.get()


def artifact() -> RankerArtifact:
    version = factories.RankerVersionFactory()
    return RankerArtifact.objects.create(version=version, format_version=1, content=b"numbers", sha256="0" * 64)


def evaluation_figure() -> EvaluationFigure:
    evaluation = Evaluation.objects.create(
        status="done", version=factories.RankerVersionFactory(), started_by=factories.UserFactory()
    )
    return EvaluationFigure.objects.create(
        evaluation=evaluation, ranker="forecourt", metric="ndcg", k=10, value=0.2, low=0.1, high=0.3, n=40
    )


def experiment() -> Experiment:
    placement = factories.PlacementFactory(slug=f"spot-{next(numbers)}")
    return Experiment.objects.create(
        slug=f"try-{next(numbers)}", placement=placement, variants={"a": {"share": 0.5}, "b": {"share": 0.5}}
    )


def import_run() -> ImportRun:
    return ImportRun.objects.create(
        file_name="cars.csv", started_by=factories.UserFactory(), upload=uploaded_file(), finished_at=timezone.now()
    )


def run_with_bad_rows() -> ImportRun:
    """A file's import that refused a row, 2, for its year and lost a value of row 3."""
    content = b"id,make,model,year,price,fuel\nb2,Skoda,Fabia,2061,16900,Diesel\nb3,Ford,Fiesta,2017,7200,Motorspirit\n"
    feed = Feed.objects.create(name=f"Supplier {next(numbers)}", source=f"supplier-{next(numbers)}")
    run = queue_feed(feed, upload=keep_file(file=ContentFile(content, name="cars.csv")))
    run_import(run_id=run.pk)
    run.refresh_from_db()
    return run


def imported_listing() -> ImportedListing:
    return ImportedListing.objects.create(
        run=import_run(), listing_id=listing().pk, row_number=1, is_new=True, stored_at=timezone.now()
    )


def uploaded_file() -> UploadedFile:
    upload = UploadedFile.objects.create(name="cars.csv", n_bytes=9, uploaded_by=factories.UserFactory())
    UploadedChunk.objects.create(file=upload, number=0, content=zlib.compress(b"make,year"))
    return upload


def outstanding_token() -> OutstandingToken:
    token = RefreshToken.for_user(factories.UserFactory())
    return OutstandingToken.objects.get(jti=token["jti"])


def periodic_task() -> PeriodicTask:
    every = IntervalSchedule.objects.create(every=next(numbers), period="seconds")
    return PeriodicTask.objects.create(name=f"job {next(numbers)}", task="a.task", interval=every)


def merchandising_rule() -> MerchandisingRule:
    rule = MerchandisingRule.objects.create(name=f"rule {next(numbers)}", action="hide", target={"makes": ["skoda"]})
    rule.sellers.add(factories.SellerFactory())
    rule.listings.add(listing())
    rule.placements.add(factories.PlacementFactory(slug=f"spot-{next(numbers)}"))
    return rule


ROW_OF: dict[type[Model], Callable[[], Model]] = {
    User: factories.UserFactory,
    Buyer: lambda: interaction().buyer,
    ApiKey: lambda: factories.ApiKeyFactory(secret=f"secret-{next(numbers)}", created_by=factories.UserFactory()),
    Group: lambda: Group.objects.create(name=f"group {next(numbers)}"),
    AuditEntry: lambda: AuditEntry.objects.create(
        by=factories.UserFactory(),
        by_name="carol@example.com",
        action="changed",
        model="catalog.listing",
        object_id="1",
    ),
    OutstandingToken: outstanding_token,
    ErasedId: lambda: ErasedId.objects.create(digest=ErasedId.digest_of(f"customer-{next(numbers)}")),
    Authenticator: lambda: TOTP.activate(factories.UserFactory(is_staff=True), "JBSWY3DPEHPK3PXP").instance,
    SocialAccount: lambda: SocialAccount.objects.create(
        user=factories.UserFactory(is_staff=True), provider="openid_connect", uid=f"sub-{next(numbers)}"
    ),
    FailedLogins: lambda: FailedLogins.objects.create(
        kind="account",
        name=f"person{next(numbers)}@example.com",
        n_tries=3,
        first_at=timezone.now(),
        last_at=timezone.now(),
    ),
    TokenFamily: lambda: TokenFamily.objects.get(pk=log_in(factories.UserFactory())["family"]),
    BlacklistedToken: lambda: BlacklistedToken.objects.create(token=outstanding_token()),
    Make: lambda: listing().make,
    CarModel: lambda: listing().car_model,
    Seller: lambda: factories.SellerFactory(user=factories.UserFactory()),
    Listing: listing,
    ListingChange: listing_change,
    ListingNews: listing_news,
    Endpoint: webhook_endpoint,
    AlertSettings: lambda: AlertSettings.objects.create(buyer=factories.BuyerFactory()),
    AlertMessage: lambda: AlertMessage.objects.create(buyer=factories.BuyerFactory(), n_cars=1),
    CarAlert: car_alert,
    Delivery: webhook_delivery,
    Message: lambda: webhook_delivery().message,
    PriceChange: lambda: factories.PriceChangeFactory(listing=listing()),
    ImportRun: import_run,
    Feed: lambda: Feed.objects.create(
        name=f"Supplier {next(numbers)}", source="supplier", origin="url", address="https://example.com/stock.csv"
    ),
    ImportedListing: imported_listing,
    ImportMend: lambda: ImportMend.objects.create(run=import_run(), started_by=factories.UserFactory()),
    ImportUndo: lambda: ImportUndo.objects.create(run=import_run(), started_by=factories.UserFactory()),
    UploadedFile: uploaded_file,
    UploadedChunk: lambda: uploaded_file().chunks.get(),
    QualityReport: lambda: QualityReport.objects.create(started_by=factories.UserFactory()),
    ImportProblem: lambda: ImportProblem.objects.create(
        run=ImportRun.objects.create(file_name="cars.csv"), row_number=1, column="price", value="?", reason="no number"
    ),
    EventKind: lambda: EventKind.objects.create(slug=f"kind-{next(numbers)}", name="Kind", weight=1, half_life_days=30),
    Interaction: interaction,
    RankerVersion: lambda: factories.RankerVersionFactory(metrics={"rankers": {"taste": {"ndcg": 0.21}}}),
    RankerArtifact: artifact,
    TrainingRun: lambda: TrainingRun.objects.create(
        version=factories.RankerVersionFactory(), started_by=factories.UserFactory()
    ),
    Evaluation: lambda: evaluation_figure().evaluation,
    EvaluationFigure: lambda: evaluation_figure(),
    FeedFit: lambda: FeedFit.objects.create(
        id=next(numbers), number=1, content=b"", fitted_at=timezone.now(), seconds=1
    ),
    FeedJudgement: lambda: FeedJudgement.objects.update_or_create(
        pk=FeedJudgement.ONLY, defaults={"judged_at": timezone.now(), "verdict": {"passed": True, "reason": "Equal."}}
    )[0],
    TasteMap: lambda: TasteMap.objects.create(
        version=factories.RankerVersionFactory(), started_by=factories.UserFactory()
    ),
    SeedRun: lambda: SeedRun.objects.create(n_listings=10, n_buyers=10, n_events=10),
    WeightTrial: lambda: WeightTrial.objects.create(
        placement=factories.PlacementFactory(slug=f"spot-{next(numbers)}"), started_by=factories.UserFactory()
    ),
    Preference: factories.PreferenceFactory,
    Placement: lambda: factories.PlacementFactory(slug=f"spot-{next(numbers)}"),
    ServedList: served_list,
    MerchandisingRule: lambda: merchandising_rule(),
    MerchandisingChange: lambda: MerchandisingChange.objects.create(
        rule=merchandising_rule(), by=factories.UserFactory(), after={"name": "A rule"}
    ),
    Experiment: experiment,
    BuyerSeller: lambda: BuyerSeller.objects.create(
        buyer=factories.BuyerFactory(), seller_external_id=f"shop/{next(numbers)}", relation="blocked"
    ),
    ShownAgain: lambda: ShownAgain.objects.create(buyer=factories.BuyerFactory(), listing=listing()),
    BotMark: lambda: BotMark.objects.create(buyer=factories.BuyerFactory(), reason="burst", detail="Many cars"),
    Impression: lambda: Impression.objects.create(
        event_id=f"e-{next(numbers)}",
        sender="key:1",
        content_digest=1,
        buyer=factories.BuyerFactory(),
        positions=[1, 2],
        occurred_at=timezone.now(),
    ),
    WaitingEvent: lambda: WaitingEvent.objects.create(
        event_id=f"e-{next(numbers)}",
        sender="key:1",
        content_digest=1,
        buyer=factories.BuyerFactory(),
        kind_id="view",
        source="shop",
        external_id="A-1",
    ),
    SavedSearch: lambda: SavedSearch.objects.create(
        buyer=factories.BuyerFactory(), name="Small and electric", query={"fuels": ["electric"]}
    ),
    SimulatedTaste: lambda: SimulatedTaste.objects.create(buyer=factories.BuyerFactory(), parameters={}),
    PeriodicTask: periodic_task,
    IntervalSchedule: lambda: IntervalSchedule.objects.create(every=next(numbers), period="seconds"),
    CrontabSchedule: lambda: CrontabSchedule.objects.create(minute=str(next(numbers) % 60)),
    SolarSchedule: lambda: SolarSchedule.objects.create(event="sunrise", latitude=next(numbers) % 90, longitude=0),
    ClockedSchedule: lambda: ClockedSchedule.objects.create(clocked_time=timezone.now()),
    TaskResult: lambda: TaskResult.objects.create(task_id=uuid4().hex, task_name="a.task", status="FAILURE"),
    GroupResult: lambda: GroupResult.objects.create(group_id=uuid4().hex),
}

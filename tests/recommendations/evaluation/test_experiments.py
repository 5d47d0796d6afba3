"""The life of an experiment: what is read of its buyers, what that says, and what ends it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from accounts.models import AuditEntry
from recommendations.evaluation.experiment_log import OUTCOMES, Cell, Reading, read_experiment
from recommendations.evaluation.experiment_report import harms_in, plan_of, promise_of, report_on
from recommendations.evaluation.experiment_watch import watch
from recommendations.metrics.experiments import Moments
from recommendations.models import EventKind, Experiment, Placement
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
AB = {"a": {"share": 1}, "b": {"share": 1, "overrides": {"diversity": 0.4}}}
PLAIN = dict.fromkeys(OUTCOMES, 0.0)


def experiment_of(**given) -> Experiment:
    usual = {"slug": "x", "status": "running", "variants": AB, "started_at": START, "planned_buyers": 4000}
    return Experiment(**{**usual, "placement": Placement(pk=1, slug="home", name="Home"), **given})


def cell(variant: str, day: date, n: int, rates: Mapping[str, float], rng: np.random.Generator, **given) -> Cell:
    """Buyers of a day with counts of these means."""
    x = np.log1p(rng.poisson(2.0, n))
    sums = [Moments.of(rng.poisson(rates.get(name, 0.0), n), x) for name in OUTCOMES]
    columns = [tuple(float(getattr(one, name)) for one in sums) for name in ("y", "yy", "xy")]
    like = {"activity": "some", "is_guest": True, **given}
    return Cell(variant, day, like["activity"], like["is_guest"], n, 2 * n, 40 * n, float(x.sum()), float((x**2).sum()),
                *columns)  # fmt: skip


def reading_of(rates: Mapping[str, Mapping[str, float]], *, n: int = 100, days: int = 20, **sizes: int) -> Reading:
    """Days of buyers, ``n`` a day in each variant unless ``sizes`` says otherwise."""
    rng = np.random.default_rng(4)
    cells = [
        cell(variant, START.date() + timedelta(days=day), sizes.get(variant, n), {**PLAIN, **of}, rng)
        for day in range(days)
        for variant, of in rates.items()
    ]
    return Reading(NOW, tuple(cells), 7)


SAME = {"clicks": 1.0, "contacts": 0.4, "early_clicks": 0.5, "early_contacts": 0.2, "early_dismissals": 0.1}


# --- What is said ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("contacts", "kind", "words"),
    [
        (0.6, "success", "“b” is better than “a”"),
        (0.2, "danger", "Keep “a”: “b” has"),
        (0.4, "info", "Too early to say on day 31: “b”"),
    ],
)
def test_the_verdict_is_one_plain_sentence(contacts, kind, words):
    report = report_on(experiment_of(), reading_of({"a": SAME, "b": {**SAME, "contacts": contacts}}))
    assert (report.kind, report.verdict[: len(words)]) == (kind, words)
    assert report.verdict.count(". ") <= 1


def test_a_difference_that_cannot_matter_is_said_to_be_none():
    report = report_on(experiment_of(smallest_lift=40), reading_of({"a": SAME, "b": SAME}))
    assert report.verdict == "It makes no difference that matters: whatever there is lies within 40% of “a”."


def test_arms_of_wrong_sizes_make_every_figure_doubtful():
    reading = reading_of({"a": SAME, "b": {**SAME, "contacts": 0.9}}, b=130)
    report = report_on(experiment_of(), reading)
    assert report.is_ratio_wrong
    assert report.verdict.startswith("Do not believe this experiment")


def test_shares_that_are_not_even_are_no_wrong_ratio():
    variants = {"a": {"share": 3}, "b": {"share": 1}}
    assert not report_on(experiment_of(variants=variants), reading_of({"a": SAME, "b": SAME}, a=300)).is_ratio_wrong


def test_a_stopped_arm_is_left_out_of_the_sizes_from_then_on():
    reading = reading_of({"a": SAME}, days=20)
    more = reading_of({"b": SAME}, days=3)
    stopped = {"b": {"at": (START + timedelta(days=3)).isoformat(), "why": "harm"}}
    both = Reading(NOW, (*reading.cells, *more.cells), 7)
    assert report_on(experiment_of(), both).is_ratio_wrong
    assert not report_on(experiment_of(stopped_arms=stopped), both).is_ratio_wrong


def test_the_control_is_the_one_named_or_the_one_without_rules_of_its_own():
    assert experiment_of().control_arm == "a"
    assert experiment_of(control="b").control_arm == "b"
    assert experiment_of(variants={"b": {"share": 1}, "a": {"share": 1, "overrides": {"k": 1}}}).control_arm == "b"


def test_segments_share_one_chance_of_error():
    rng = np.random.default_rng(4)
    cells = []
    for day in range(20):
        for variant, contacts in (("a", 0.4), ("b", 0.8)):
            on = START.date() + timedelta(days=day)
            cells.append(cell(variant, on, 50, {**SAME, "contacts": contacts}, rng, activity="many", is_guest=False))
            cells.append(cell(variant, on, 50, SAME, rng, activity="new"))
    report = report_on(experiment_of(), Reading(NOW, tuple(cells), 7))
    verdicts = {row.segment: row.verdict for row in report.segments}
    assert (verdicts["many"], verdicts["account"], verdicts["new"]) == ("better", "better", "open")
    for row in report.segments:
        assert row.adjusted_p >= row.difference.p


def test_a_curve_ends_with_what_the_table_says():
    report = report_on(experiment_of(), reading_of({"a": SAME, "b": {**SAME, "contacts": 0.5}}))
    (curve,), (difference,) = report.curves, report.differences
    assert (curve.values[-1], curve.lows[-1], curve.highs[-1]) == pytest.approx(
        (difference.value, difference.low, difference.high)
    )
    assert list(curve.days) == sorted(curve.days)


def test_buyers_whose_days_are_not_over_are_not_judged():
    reading = reading_of({"a": SAME, "b": SAME}, days=31)
    assert reading.last_day("contacts") == date(2026, 3, 23)
    assert reading.last_day("early_contacts") == date(2026, 3, 29)
    assert reading.moments("contacts", "a").n == 23 * 100


def test_what_was_measured_is_kept_as_it_was():
    reading = reading_of({"a": SAME, "b": SAME}, days=2)
    kept = experiment_of(measured=reading.as_json(), measured_at=NOW)
    assert Reading.of(kept) == reading
    assert Reading.of(experiment_of()) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "a lift of 10% takes"),
        ({"smallest_lift": 1}, "more than a year"),
        ({"metric": "clicks"}, "1.01 clicks per buyer"),
    ],
)
def test_how_long_it_takes_is_said_before_the_start(given, words):
    draft = experiment_of(status="draft", started_at=None, **given)
    assert words in promise_of(draft, plan_of(draft, reading_of({"baseline": SAME})))


@pytest.mark.parametrize("reading", [reading_of({}), reading_of({"baseline": PLAIN})], ids=["no buyers", "no contacts"])
def test_without_anything_to_go_by_nothing_is_promised(reading):
    draft = experiment_of(status="draft", started_at=None)
    assert promise_of(draft, plan_of(draft, reading)).startswith("How long it takes cannot be said")
    assert report_on(experiment_of(), reading).verdict.startswith("Too early to say")


# --- Guardrails ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        ({"early_clicks": 0.3}, "fewer clicks"),
        ({"early_contacts": 0.05}, "fewer contacts"),
        ({"early_dismissals": 0.4}, "more dismissals"),
    ],
)
def test_an_arm_that_harms_is_found(harm, what):
    (found,) = harms_in(experiment_of(), reading_of({"a": SAME, "b": {**SAME, **harm}}))
    assert (found.arm, what in found.sentence) == ("b", True)


def test_dismissals_where_the_control_has_none_are_found():
    (found,) = harms_in(experiment_of(), reading_of({"a": {**SAME, "early_dismissals": 0.0}, "b": SAME}))
    assert found.sentence.endswith("where the control has none")


def test_an_arm_that_does_good_or_nothing_is_left_alone():
    good = {**SAME, "early_clicks": 0.9, "early_contacts": 0.5, "early_dismissals": 0.0}
    assert harms_in(experiment_of(), reading_of({"a": SAME, "b": good})) == ()
    assert harms_in(experiment_of(), reading_of({"a": SAME, "b": SAME})) == ()


# --- In the database -------------------------------------------------------------------------------------------------
@pytest.fixture
def stored(db) -> Experiment:
    experiment = experiment_of(placement=Placement.objects.get(slug="home"))
    experiment.save()
    return experiment


def act(served, kind: str, listing, hours: float = 1.0, *, names_list: bool = True) -> None:
    InteractionFactory(
        buyer=served.buyer, kind=EventKind.objects.get(slug=kind), listing=listing,
        occurred_at=served.served_at + timedelta(hours=hours), served_list=served if names_list else None,
        position=1 if names_list else None,
    )  # fmt: skip


def shown_to(buyer, experiment: Experiment, variant: str, at: datetime, listings=()):
    return ServedListFactory(
        buyer=buyer, placement=experiment.placement, variant=variant, served_at=at,
        listing_ids=[listing.pk for listing in listings],
    )  # fmt: skip


def test_what_buyers_do_within_their_days_is_read(stored):
    cars = ListingFactory.create_batch(3)
    guest, known = BuyerFactory(guest=True), BuyerFactory()
    at = START + timedelta(days=2)
    one = shown_to(guest, stored, "a", at, cars)
    shown_to(guest, stored, "a", at + timedelta(days=3), cars[:2])
    shown_to(guest, stored, "a", at + timedelta(days=8), cars)  # the days are over
    for kind, listing, hours, names_list in (
        ("view", cars[0], 1, True), ("view", cars[0], 2, True), ("view", cars[1], 30, True),  # two clicks, one early
        ("view", cars[2], 3, False),  # not from the list
        ("contact", cars[2], 40, False),  # a contact, not early
        ("contact", cars[2], 24 * 7 + 1, True),  # too late
        ("hide", cars[1], 2, True),
    ):  # fmt: skip
        act(one, kind, listing, hours, names_list=names_list)
    other = shown_to(known, stored, "b", at, cars)
    for hours in (-1, -24 * 13, -24 * 15):
        act(other, "view", cars[0], hours, names_list=False)
    shown_to(BuyerFactory(), stored, "a", START - timedelta(hours=1), cars)  # before the start
    shown_to(None, stored, "a", at, cars)
    shown_to(BuyerFactory(), stored, "", at, cars)

    a, b = sorted(read_experiment(stored, NOW).cells, key=lambda cell: cell.variant)
    assert (a.variant, a.day, a.activity, a.is_guest, a.n, a.n_lists, a.n_shown) == (
        "a", date(2026, 3, 3), "new", True, 1, 2, 5,
    )  # fmt: skip
    assert dict(zip(OUTCOMES, a.y, strict=True)) == {
        "clicks": 2, "contacts": 1, "early_clicks": 1, "early_contacts": 0, "early_dismissals": 1,
        "value": 0,
    }  # fmt: skip
    assert (b.variant, b.activity, b.is_guest, b.x, b.y) == ("b", "some", False, pytest.approx(np.log(3)), (0,) * 6)


def test_a_buyer_stays_in_the_variant_of_their_first_list(stored):
    buyer = BuyerFactory()
    shown_to(buyer, stored, "b", START + timedelta(days=1))
    shown_to(buyer, stored, "a", START + timedelta(days=2))
    (cell,) = read_experiment(stored, NOW).cells
    assert (cell.variant, cell.n) == ("b", 1)


def test_a_draft_reads_what_the_buyers_of_its_placement_did(stored):
    stored.started_at = None
    shown_to(BuyerFactory(), stored, "", NOW - timedelta(days=10))
    shown_to(BuyerFactory(), stored, "feed", NOW - timedelta(days=10))
    (cell,) = read_experiment(stored, NOW).cells
    assert (cell.variant, cell.n) == ("baseline", 1)


def test_it_starts_when_it_is_due_and_ends_when_it_is_over(stored):
    stored.status, stored.started_at, stored.planned_buyers = "scheduled", None, None
    stored.starts_at, stored.ends_at = START, START + timedelta(days=20)
    stored.save()
    watch(START - timedelta(minutes=1))
    stored.refresh_from_db()
    assert (stored.status, stored.started_at) == ("scheduled", None)
    watch(START + timedelta(minutes=1))
    stored.refresh_from_db()
    assert (stored.status, stored.started_at) == ("running", START + timedelta(minutes=1))
    watch(START + timedelta(days=20, minutes=1))
    stored.refresh_from_db()
    assert (stored.status, stored.stopped_at, stored.stop_reason) == ("stopped", stored.ends_at, "its end was reached")
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["started", "stopped"]


def test_it_waits_while_another_runs_on_its_placement(stored):
    Experiment.objects.create(slug="y", placement=stored.placement, status="scheduled", starts_at=START, variants=AB)
    watch(NOW)
    assert Experiment.objects.get(slug="y").status == "scheduled"


def test_the_days_of_its_buyers_are_read_after_its_end(stored):
    stored.status, stored.stopped_at = "stopped", NOW
    stored.save()
    for days, reads in ((5, True), (9.5, True), (12, False), (50, False)):
        at = NOW + timedelta(days=days)
        watch(at)
        stored.refresh_from_db()
        assert (stored.measured_at == at) is reads


@pytest.fixture
def harmful(monkeypatch: pytest.MonkeyPatch):
    """Readings of which every variant but the control harms; reading them is tested above."""

    def read(experiment: Experiment, now: datetime) -> Reading:
        rates = {name: SAME if name == "a" else {**SAME, "early_clicks": 0.2} for name in experiment.variants}
        return reading_of({**rates, "c": SAME} if "c" in rates else rates)

    monkeypatch.setattr("recommendations.evaluation.experiment_watch.read_experiment", read)


def test_a_variant_that_harms_ends_the_experiment_of_two(stored, harmful):
    watch(NOW)
    stored.refresh_from_db()
    assert (stored.status, stored.stopped_at, list(stored.stopped_arms)) == ("stopped", NOW, ["b"])
    assert "surely fewer clicks" in stored.stop_reason
    stopped = AuditEntry.objects.filter(action="stopped").order_by("id")
    assert [entry.note.partition(":")[0] for entry in stopped][:1] == ["Guardrail"]
    assert stopped.count() == 2
    assert report_on(stored, Reading.of(stored)).verdict.startswith("Stopped: “b” had surely fewer clicks")


def test_the_others_go_on_where_there_are_more(stored, harmful):
    stored.variants = {**AB, "c": {"share": 1}}
    stored.save()
    for _ in range(2):
        watch(NOW)
    stored.refresh_from_db()
    assert (stored.status, list(stored.stopped_arms)) == ("running", ["b"])
    assert AuditEntry.objects.count() == 1


def test_what_harms_goes_on_where_it_was_asked_to(stored, harmful):
    stored.stops_harmful = False
    stored.save()
    watch(NOW)
    stored.refresh_from_db()
    assert (stored.status, stored.stopped_arms) == ("running", {})


def test_trouble_with_one_experiment_leaves_the_others_alone(stored, monkeypatch):
    other = Experiment.objects.create(
        slug="y", placement=Placement.objects.create(slug="other"), status="running", variants=AB, started_at=START
    )

    def fail(experiment: Experiment, now: datetime) -> Reading:
        if experiment.slug == "x":
            raise RuntimeError
        return reading_of({"a": SAME, "b": SAME})

    monkeypatch.setattr("recommendations.evaluation.experiment_watch.read_experiment", fail)
    watch(NOW)
    other.refresh_from_db()
    assert other.measured_at == NOW


# --- Two variants that make lists together ---------------------------------------------------------------------------
@pytest.mark.django_db
def test_what_buyers_did_counts_for_the_variant_that_chose_the_car():
    row = Experiment.objects.create(
        slug="y", placement=Placement.objects.get(slug="home"), status="running", variants=AB, control="a",
        mode="interleaved", started_at=START, planned_buyers=4000,
    )  # fmt: skip
    one, two, three, four = (listing.pk for listing in ListingFactory.create_batch(4))
    buyer = BuyerFactory(guest=True)
    given = {"buyer": buyer, "placement": row.placement, "variant": "interleaved"}
    first = ServedListFactory(**given, served_at=START, listing_ids=[one, two, three], scores=[3, 2, 1],
                              sources=["taste"] * 3, teams="ab-")  # fmt: skip
    ServedListFactory(**given, served_at=START + timedelta(hours=1), listing_ids=[two, four, one], scores=[3, 2, 1],
                      sources=["taste"] * 3, teams="aba")  # fmt: skip
    kinds = EventKind.objects.in_bulk()

    def act(kind: str, listing_id: int, served_list=None, hours: float = 2) -> None:
        InteractionFactory(buyer=buyer, kind=kinds[kind], listing_id=listing_id, served_list=served_list,
                           occurred_at=START + timedelta(hours=hours))  # fmt: skip

    act("view", one, first)
    act("view", one, first)  # the same car counts once
    act("view", two, first)
    act("view", three, first)  # a rule put it there
    act("view", two)  # without a list, it is no click
    act("contact", four)  # without a list: only the other showed it
    act("contact", two)  # both did
    act("contact", three, first)
    act("view", two, first, hours=24 * 8)  # after the buyer's days
    reading = read_experiment(row, NOW)
    sums = {name: [reading.moments(outcome, name).y for outcome in ("clicks", "contacts")] for name in
            ("a", "b", "interleaved")}  # fmt: skip
    assert sums == {"a": [1, 0], "b": [1, 1], "interleaved": [0, 1]}
    assert [(cell.variant, cell.n, cell.n_lists, cell.n_shown) for cell in reading.cells] == [
        ("a", 1, 2, 3), ("b", 1, 2, 2), ("interleaved", 1, 2, 5),
    ]  # fmt: skip


def together(more: float, days: int = 20) -> Reading:
    rng = np.random.default_rng(4)
    cells = []
    for day in range(days):
        on = START.date() + timedelta(days=day)
        control, other = rng.poisson(0.4, 60), rng.poisson(0.4 + more, 60)
        for name, counts in (("a", control), ("b", other), ("interleaved", other - control)):
            sums = {outcome: Moments.of(counts if outcome == "contacts" else np.zeros(60)) for outcome in OUTCOMES}
            columns = [tuple(float(getattr(one, part)) for one in sums.values()) for part in ("y", "yy", "xy")]
            cells.append(Cell(name, on, "some", True, 60, 120, 600, 0.0, 0.0, *columns))
    return Reading(NOW, tuple(cells), 7)


@pytest.mark.parametrize(
    ("more", "words"), [(0.3, "“b” is better than “a”"), (-0.3, "Keep “a”: “b” has"), (0.0, "Too early to say")]
)
def test_the_verdict_on_two_that_make_lists_together_speaks_of_the_cars_they_chose(more, words):
    row = experiment_of(mode="interleaved", control="a")
    report = report_on(row, together(more))
    assert report.verdict.startswith(words)
    assert ("contacts on the cars it chose" in report.verdict) == (more != 0)
    assert [(arm.name, arm.n_buyers) for arm in report.arms] == [("a", 1200), ("b", 1200)]
    assert not report.is_ratio_wrong
    assert report.plan.buyers_a_day == pytest.approx(1200 / 30)
    assert report.curves[0].values[-1] == pytest.approx(report.differences[0].value)

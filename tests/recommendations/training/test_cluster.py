"""A training on a cluster of two worker processes: what it learns, what a killed worker costs, what is refused."""

import ctypes
import gc
import importlib.util
import operator
import os
import signal
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster, Status, wait
from django.utils import timezone
from environs import ValidationError

from recommendations.checks import a_cluster_needs_its_packages
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.collaborative import Feedback, fit_collaborative, fit_collaborative_in_parts
from recommendations.engine.parts import LocalParts
from recommendations.engine.population import PriorConfig, fit_prior, fit_prior_in_parts
from recommendations.events.rows import EventRows, read_events
from recommendations.exceptions import TrainingRefused
from recommendations.models import RankerVersion
from recommendations.training import cluster as clusters
from recommendations.training.cluster import LEAST_SHARED_BYTES, InProcess, OnCluster, executor, in_turns
from recommendations.training.cluster_plugin import give_back_when_paused, size_of_object
from recommendations.training.dataset import divided, first_buyers, read_parted
from recommendations.training.parameters import TrainingParameters
from recommendations.training.runs import learn_and_test
from recommender_site import env
from recommender_site.operations.doctor import look_at_cluster
from recommender_site.operations.findings import Level
from tests.factories import PUBLISHED_AT, BuyerFactory, InteractionFactory, ServedListFactory
from tests.markets import trained_market

CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module")
def cluster():
    """Two workers in processes of their own, which know the engine and no database."""
    with (
        LocalCluster(2, threads_per_worker=1, scheduler_kwargs={"dashboard": False}) as workers,
        Client(workers) as client,
    ):
        yield OnCluster(client)


def kill_a_worker(cluster: OnCluster) -> None:
    os.kill(cluster.client.submit(os.getpid, pure=False).result(), signal.SIGKILL)


def as_in_another_process() -> ModuleType:
    """The module anew, with all that it counts at its beginning."""
    spec = importlib.util.find_spec(clusters.__name__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_processes_on_one_scheduler_get_their_own_results(cluster):
    with Client(cluster.client.scheduler.address, set_as_default=False) as client:
        one = as_in_another_process().OnCluster(cluster.client)
        other = as_in_another_process().OnCluster(client)
        ours, theirs = one.parts([1, 2]).map(operator.neg), other.parts([30, 40]).map(operator.neg)
        assert list(ours.collect()) == [-1, -2]
        assert list(theirs.collect()) == [-30, -40]
        assert (ours.total(operator.add), theirs.total(operator.add)) == (-3, -70)
        keys = [future.key for parts in (ours, theirs) for future in parts.kept]
        assert len(set(keys)) == len(keys)


def buyers_of(n: int, seed: int = 0) -> list[ChoiceSets]:
    rng = np.random.default_rng(seed)
    tastes = rng.normal([1.0, -0.5, 0.0], 0.7, (n, 3))
    sets = []
    for taste in tastes:
        features = rng.normal(size=(int(rng.integers(1, 9)), 5, 3)).astype(np.float32)
        noise = rng.gumbel(size=features.shape[:2])
        sets.append(ChoiceSets(features, (features @ taste + noise).argmax(axis=1)))
    return sets


def in_three(buyers: list) -> list[list]:
    return [buyers[:20], buyers[20:21], buyers[21:]]


def test_a_population_is_the_same_in_one_process_and_on_a_cluster(cluster):
    buyers, config = buyers_of(60), PriorConfig(max_buyers=50, seed=3)
    here = fit_prior_in_parts(LocalParts(in_three(buyers)), 3, config)
    there = fit_prior_in_parts(cluster.parts(in_three(buyers)), 3, config)
    whole = fit_prior(buyers, 3, config)
    for other in (there, whole):
        np.testing.assert_allclose(other.mean, here.mean, **CLOSE)
        np.testing.assert_allclose(other.covariance, here.covariance, **CLOSE)


def test_a_worker_that_is_killed_costs_its_own_partitions_and_no_result(cluster):
    buyers = buyers_of(60)
    parts = cluster.parts(in_three(buyers)).map(list)
    parts.collect()
    killed = []

    def kill(share: float) -> None:
        if share > 0.05 and not killed:
            kill_a_worker(cluster)
            killed.append(share)

    there = fit_prior_in_parts(parts, 3, report=kill)
    here = fit_prior_in_parts(LocalParts(in_three(buyers)), 3)
    assert killed
    np.testing.assert_allclose(there.mean, here.mean, **CLOSE)
    np.testing.assert_allclose(there.covariance, here.covariance, **CLOSE)


def set_status(cluster: OnCluster, status: Status, workers: list[str]) -> None:
    def change(dask_worker):
        dask_worker.status = status

    cluster.client.run(change, workers=workers)


def test_a_worker_that_is_killed_while_the_other_takes_nothing_costs_no_result(cluster):
    """A worker near its limit of memory is paused; what the killed one had must not wait for that one to come back."""
    cluster.client.wait_for_workers(2, timeout=60)
    parts = cluster.parts(list(range(12))).map(operator.neg)
    parts.collect()
    one, other = cluster.workers()
    set_status(cluster, Status.paused, [one])
    pid = cluster.client.run(os.getpid, workers=[other])[other]
    os.kill(pid, signal.SIGKILL)
    again = parts.map(operator.neg)
    wait(again.kept, timeout=60)
    assert list(again.collect()) == list(range(12))
    set_status(cluster, Status.running, [one])


def test_a_paused_worker_gives_back_what_its_allocator_keeps(cluster):
    def given_back(dask_worker) -> int:
        """Bytes that a pause returns, of 80 MB in small blocks of which each hundredth is still in use."""
        libc = ctypes.CDLL(None)
        libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        blocks = [libc.malloc(4096) for _ in range(20_000)]
        for block in blocks:
            ctypes.memset(ctypes.c_void_p(block), 1, 4096)
        for at, block in enumerate(blocks):
            if at % 100:
                libc.free(block)
        before, status = psutil.Process().memory_info().rss, dask_worker.status
        dask_worker.status = Status.paused
        give_back_when_paused(dask_worker)
        dask_worker.status = status
        return before - psutil.Process().memory_info().rss

    cluster.client.wait_for_workers(2, timeout=60)
    assert min(cluster.client.run(given_back).values()) > 60_000_000


@pytest.mark.parametrize(("n", "n_runs"), [(0, 1), (1, 1), (5, 2), (12, 2), (2, 5), (50, 7)])
def test_runs_of_partitions_take_turns(n, n_runs):
    order = list(in_turns(n, n_runs))
    assert sorted(order) == list(range(n))
    for run in range(n_runs):
        assert (np.diff(order[run::n_runs][: n // n_runs]) == 1).all()


def browse(market, n_buyers: int) -> None:
    """Buyers of either kind of car open some, from lists and without, over three weeks; some search."""
    rng, now = np.random.default_rng(0), timezone.now()
    for number in range(n_buyers):
        buyer, cars = BuyerFactory(external=True), (market.skodas, market.bmws)[number % 2]
        for visit in range(4):
            moment = now - timedelta(days=float(rng.uniform(0, 21)))
            shown = [cars[at] for at in rng.permutation(len(cars))[:6]]
            served = ServedListFactory(buyer=buyer, listing_ids=[car.pk for car in shown], served_at=moment)
            from_list = {"served_list": served} if visit % 2 else {}
            InteractionFactory(buyer=buyer, listing=shown[visit], occurred_at=moment, **from_list)


@pytest.mark.django_db(transaction=True)
def test_a_whole_training_is_the_same_in_one_process_and_on_a_cluster(settings):
    settings.TRAINING_EVENTS_PER_PARTITION, settings.TRAINING_CLUSTER = 70, "local"
    browse(trained_market(n_of_each=8), 40)
    parameters = TrainingParameters(prior_buyers=8, seed=1)
    results = []
    with executor() as cluster:
        assert isinstance(cluster, OnCluster)
        for where in (InProcess(), cluster):
            version = RankerVersion()
            snapshot, _, verdict = learn_and_test(version, parameters, lambda fraction, step: None, where)
            results.append((version, snapshot, verdict))
        assert all(
            cluster.client.run(lambda dask_worker: dask_worker.plugins["forecourt"].giving_back.is_running()).values()
        )
        nothing = read_parted(cluster, timezone.now() + timedelta(days=9), 10)
        assert len(nothing) == len(nothing.buyer_ids) == 0
    (here, of_here, verdict), (there, of_there, same_verdict) = results
    arrays = of_there.ranker.to_arrays()
    for name, array in of_here.ranker.to_arrays().items():
        if array.dtype.kind in "fc":
            np.testing.assert_allclose(arrays[name], array, **CLOSE, err_msg=name)
        else:
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    np.testing.assert_allclose(of_there.stock.vectors, of_here.stock.vectors, **CLOSE)
    assert there.metrics["rankers"]["forecourt"] == pytest.approx(here.metrics["rankers"]["forecourt"], abs=1e-6)
    assert there.metrics["n_buyers"] == here.metrics["n_buyers"] > 0
    assert same_verdict == verdict
    assert (there.n_buyers, there.n_interactions, there.last_interaction_id) == (
        here.n_buyers, here.n_interactions, here.last_interaction_id,
    )  # fmt: skip


def test_archetypes_and_ease_are_the_same_however_buyers_are_divided(cluster):
    from tests.recommendations.engine.test_archetypes import CONFIG, CONTENT, TABLE

    rng = np.random.default_rng(2)
    n_buyers, n_events = 30, 200
    buyers, listings = rng.integers(0, n_buyers, n_events), rng.integers(0, len(TABLE), n_events)
    weights = rng.choice([1.0, 2.0, -1.0], n_events)
    of_parts = [
        Feedback(buyers[is_in] - first, listings[is_in], weights[is_in], size)
        for first, size in ((0, 7), (7, 1), (8, 22))
        for is_in in [(buyers >= first) & (buyers < first + size)]
    ]
    whole = fit_collaborative(TABLE, CONTENT, buyers, listings, weights, n_buyers, CONFIG)
    for parts in (LocalParts(of_parts), cluster.parts(of_parts)):
        found = fit_collaborative_in_parts(TABLE, CONTENT, parts, CONFIG)
        assert found.archetypes == whole.archetypes
        np.testing.assert_allclose(found.trust, whole.trust, **CLOSE)
        np.testing.assert_allclose(found.factors, whole.factors, **CLOSE)
        np.testing.assert_allclose(found.neighbours.toarray(), whole.neighbours.toarray(), **CLOSE)


@pytest.mark.django_db
def test_partitions_hold_whole_buyers_in_order_and_every_event_once():
    for number in range(12):
        buyer = BuyerFactory(external=True)
        for _ in range(1 + number % 4):
            InteractionFactory(buyer=buyer)
    events = read_events(PUBLISHED_AT)
    for n_parts in (1, 2, 5, 40):
        parts = divided(events, n_parts)
        assert len(parts) <= n_parts
        assert all(len(part) for part in parts)
        buyers = [np.unique(part.buyer_ids) for part in parts]
        assert np.array_equal(np.concatenate(buyers), np.unique(events.buyer_ids))
        assert np.array_equal(np.sort(np.concatenate([part.ids for part in parts])), np.sort(events.ids))
        assert all((np.diff(part.occurred_at) >= 0).all() for part in parts)


def test_one_buyer_with_nearly_all_events_is_one_partition():
    firsts = first_buyers(np.array([3, 5, 9]), np.array([1, 1000, 1]), 8)
    assert set(firsts.tolist()) <= {3, 5, 9}
    assert firsts[0] == 3


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """The port of something that answers each connection with these bytes, and with None with nothing."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            if answer is None:
                self.request.recv(2**16)
                self.request.recv(2**16)  # until it is closed
            else:
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def dask_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "loop" in thread.name.lower()]


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, None])
def test_what_is_no_scheduler_is_named_and_nothing_of_the_attempt_stays(settings, monkeypatch, scheme, answer):
    """Half-open clients are closed by the garbage collector, which may run while Dask holds the lock for that."""
    monkeypatch.setattr(clusters, "ANSWER_SECONDS", 0.3)
    before = dask_threads()
    with answering(answer) as port:
        address = f"{scheme}://127.0.0.1:{port}"
        settings.TRAINING_CLUSTER = address
        with pytest.raises(TrainingRefused, match=f"no Dask scheduler answers at {address}"), executor():
            pass
    assert dask_threads() == before
    clients = [each for each in gc.get_objects() if type(each) is Client]  # isinstance asks lazy objects what they are
    assert [each for each in clients if each.status == "connecting"] == []


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_a_scheduler_that_does_not_answer_is_named(settings, monkeypatch, address):
    monkeypatch.setattr(clusters, "ANSWER_SECONDS", 0.3)
    settings.TRAINING_CLUSTER = address
    with pytest.raises(TrainingRefused, match=f"no Dask scheduler answers at {address}"), executor():
        pass
    [finding] = look_at_cluster()
    assert finding.level == Level.PROBLEM
    assert address in finding.is_so


@pytest.mark.parametrize(
    "address",
    ["yes", "Local", "8786", "host:8786", "http://host:8786", "tcp://host", "tcp://:8786", "tcp://h:x", "tcp://h:1/a"],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValidationError, match="tcp://scheduler:8786"):
        env.a_cluster(address)


@pytest.mark.parametrize("address", ["", "local", "tcp://10.0.0.7:8786", "tls://scheduler.internal:1"])
def test_an_address_of_a_scheduler_is_taken(address):
    env.a_cluster(address)


def test_what_was_sent_to_the_workers_stays_while_results_may_have_to_be_made_again(cluster):
    parts = cluster.parts([1, 2, 3]).map(operator.add, cluster.parts([0]).share(10))
    assert list(parts.collect()) == [11, 12, 13]
    kill_a_worker(cluster)
    assert list(parts.map(operator.neg).collect()) == [-11, -12, -13]


def test_what_was_sent_to_workers_that_have_all_died_is_sent_anew(cluster):
    shared = cluster.parts([0]).share(np.arange(LEAST_SHARED_BYTES))
    for pid in cluster.client.run(os.getpid).values():
        os.kill(pid, signal.SIGKILL)
    assert cluster.parts([1]).map(operator.add, shared).collect()[0][:11].sum() == 66


def test_what_is_shared_by_a_file_stays_while_results_may_have_to_be_made_again(cluster, tmp_path):
    parts = OnCluster(cluster.client, tmp_path).parts([1, 2, 3]).map(operator.add, 0)
    ten = parts.share(np.full(4, 10))
    added = parts.map(operator.add, ten).anew(operator.mul, parts.share(2))
    assert len(list(tmp_path.iterdir())) == 2
    del ten
    assert [each.tolist() for each in added.collect()] == [[22] * 4, [24] * 4, [26] * 4]
    kill_a_worker(cluster)
    assert added.total(operator.add).tolist() == [72] * 4
    assert added.total_of(np.sum, operator.add) == 288
    del added
    assert list(tmp_path.iterdir()) == []


def test_a_worker_knows_the_size_of_what_it_keeps():
    events = EventRows(*[np.zeros(1_000, int)] * 3, np.full(1_000, None), np.zeros(1_000))
    assert size_of_object(events) >= 5 * 8_000
    assert size_of_object(object()) < 100


def test_without_dask_a_cluster_is_refused_at_the_start(settings, monkeypatch):
    settings.TRAINING_CLUSTER = "local"
    assert a_cluster_needs_its_packages(None) == []
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name))
    [refused] = a_cluster_needs_its_packages(None)
    assert "requirements-cluster.txt" in refused.hint


@pytest.mark.django_db
def test_an_empty_log_is_one_empty_partition():
    events = read_parted(InProcess(), timezone.now() + timedelta(days=9), 10)
    assert len(events) == 0
    assert events.buyer_ids.tolist() == []

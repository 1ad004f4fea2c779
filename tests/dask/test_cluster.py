"""Workers that die, clients that go, results that are added in a tree: the same bits, or a clear error."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
cluster = pytest.importorskip("skrelu.dask._cluster")
from distributed.comm import CommClosedError  # noqa: E402

from skrelu.dask import DaskDeepLogisticClassifier  # noqa: E402
from skrelu.dask._partition import PartitionError  # noqa: E402
from skrelu.dask._passes import Node, ValueAndGradient  # noqa: E402
from tests.dask.conftest import assert_nothing_is_left  # noqa: E402

OPTIONS = {
    "hidden_layer_sizes": (6,),
    "alpha": 1.0,
    "early_stopping": False,
    "tol": 0,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}
N, N_PARTS = 960, 8


def make_rows():
    rng = np.random.RandomState(0)
    X = rng.randn(N, 5)
    return X, (X[:, 0] * X[:, 1] + rng.randn(N) > 0).astype(int)


def make_collections():
    X, y = make_rows()
    return da.from_array(X, chunks=(N // N_PARTS, -1)), da.from_array(y, chunks=N // N_PARTS)


def in_threads(n_workers):
    """Return the client of a cluster in this process."""
    return distributed.Client(processes=False, n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")


def fit(client, max_iter=15, data=None, **options):
    model = DaskDeepLogisticClassifier(**OPTIONS | options, max_iter=max_iter, client=client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*(data or make_collections()))


@pytest.fixture(scope="module")
def expected():
    """A fit with a single worker."""
    with in_threads(1) as client:
        return fit(client)


def assert_same_bits(model, expected):
    for ours, theirs in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert_array_equal(ours, theirs)
    assert model.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("n_workers", [2, 4, 11])
def test_the_same_bits_on_any_number_of_workers(n_workers, expected):
    with in_threads(n_workers) as client:
        assert_same_bits(fit(client), expected)


class At(threading.Thread):
    """Does something in another thread when a fit has made some iterations."""

    def __init__(self, monkeypatch, n_passes, act):
        super().__init__(daemon=True)
        self.ready, self.act, self.acted = threading.Event(), act, False
        ask, calls = cluster.Cluster.ask, []

        def count(self_, *args):
            calls.append(None)
            if len(calls) == n_passes:
                self.ready.set()
                time.sleep(0.05)  # so that it happens during a pass
            return ask(self_, *args)

        monkeypatch.setattr(cluster.Cluster, "ask", count)
        self.start()

    def run(self):
        if self.ready.wait(60):
            self.act()
            self.acted = True

    def has_acted(self):
        self.join(60)
        return self.acted


def test_two_processes(expected, monkeypatch):
    """One cluster of two worker processes for all, as it takes seconds to start: the same bits, death, and Ctrl-C."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        for _ in range(2):
            assert_same_bits(fit(client), expected)
        assert_nothing_is_left(client)
        check_the_evidence(client)
        with monkeypatch.context() as patch:
            check_a_killed_worker(client, expected, patch)
        with monkeypatch.context() as patch:
            check_ctrl_c(client, patch)


def check_the_evidence(client):
    """Terms and rows are drawn and merged, from more than are taken as a whole."""
    options = {"alpha": "evidence", "tol": 1e-5, "n_iter_no_change": 20, "max_iter": 60}
    with in_threads(1) as other:
        alone = fit(other, **options)
    model = fit(client, **options)
    assert_same_bits(model, alone)
    assert_array_equal(model.alpha_, alone.alpha_)
    assert model.log_evidence_ == alone.log_evidence_


def check_a_killed_worker(client, expected, monkeypatch):
    pids = client.run(os.getpid)
    at = At(monkeypatch, 5, lambda: os.kill(pids[max(pids)], signal.SIGKILL))
    model = fit(client)
    assert at.has_acted()
    assert_same_bits(model, expected)
    assert_nothing_is_left(client)


def check_ctrl_c(client, monkeypatch):
    at = At(monkeypatch, 8, lambda: os.kill(os.getpid(), signal.SIGINT))
    model = DaskDeepLogisticClassifier(**OPTIONS, max_iter=10**5, client=client)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(*make_collections())
    assert at.has_acted()
    assert 1 <= model.n_iter_ < 1000
    assert model.loss_ == min(model.loss_curve_)
    assert model.predict(make_rows()[0]).shape == (N,)
    assert_nothing_is_left(client)


def test_a_worker_that_retires_and_one_that_comes_change_no_bit(expected, monkeypatch):
    with (
        distributed.LocalCluster(n_workers=2, processes=False, threads_per_worker=1, dashboard_address=":0") as local,
        distributed.Client(local, set_as_default=False) as client,
    ):

        def retire():
            client.retire_workers([min(client.nthreads())])
            local.scale(3)

        ask, calls = cluster.Cluster.ask, []

        def retire_then_ask(self, *args):
            calls.append(None)
            if len(calls) == 4:
                retire()
            return ask(self, *args)

        monkeypatch.setattr(cluster.Cluster, "ask", retire_then_ask)
        model = fit(client)
        assert len(calls) > model.optimize_result_.nfev  # a pass was repeated
        assert_same_bits(model, expected)


def test_a_partition_that_disappears_is_found_again(client, expected, monkeypatch):
    """Its place is wrong: the pass is repeated for it alone."""
    ask, asked = cluster.Cluster.ask, []

    def lie(self, request, nodes):
        asked.append([number for node in nodes for number in node.all_numbers])
        if len(asked) == 3:
            first, second = nodes
            nodes = (Node(first.address, second.numbers), Node(second.address, first.numbers))
        return ask(self, request, nodes)

    monkeypatch.setattr(cluster.Cluster, "ask", lie)
    model = fit(client)
    assert_same_bits(model, expected)
    assert sorted(asked[3]) == sorted(asked[2])
    assert len(asked) == model.optimize_result_.nfev + 1


def test_a_partition_whose_place_is_not_known_is_asked_for_again(client, expected, monkeypatch):
    places, calls = cluster.Cluster.places, []

    def forget(self, futures):
        found = places(self, futures)
        calls.append(found)
        return ["", *found[1:]] if len(calls) == 2 else found  # the first call is for the owners of partitions

    monkeypatch.setattr(cluster.Cluster, "places", forget)
    assert_same_bits(fit(client), expected)
    assert len(calls[2]) == 1  # the pass was repeated for this partition alone


def test_workers_that_never_answer_end_the_fit(client, monkeypatch):
    monkeypatch.setattr(cluster, "sleep", lambda seconds: None)
    asked = []

    def lost(self, request, nodes):
        asked.append(nodes)
        return cluster.Result(None, [n for node in nodes for n in node.all_numbers], OSError("the comm is closed"))

    monkeypatch.setattr(cluster.Cluster, "ask", lost)
    with pytest.raises(cluster.ClusterError, match=r"cannot make a pass over X: OSError\('the comm is closed'\)"):
        fit(client)
    assert len(asked) == 8
    assert_nothing_is_left(client)


def test_a_pass_may_take_any_number_of_requests_that_each_find_a_partition(monkeypatch):
    monkeypatch.setattr(cluster, "sleep", lambda seconds: None)

    class Slow(cluster.Cluster):
        def check(self):
            pass

        def wait(self, futures):
            pass

        def places(self, futures):
            return ["a"] * len(futures)

        def ask(self, request, nodes):
            numbers = [number for node in nodes for number in node.all_numbers]
            return cluster.Result(1, numbers[1:], OSError("gone"))

    futures = dict.fromkeys(range(20), SimpleNamespace(status="finished"))
    assert cluster.Partitioned(Slow(None), "rows", futures, "X").run(None, None) == 20


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("lost", "Partition 3 of X was cancelled, .*or lost with its worker.* scatter have no recipe"),
        ("cancelled", "Partition 3 of X was cancelled, by"),
        ("error", r"Partition 3 of X could not be computed: OSError\('no file'\)"),
    ],
)
def test_a_partition_that_cannot_be_computed_again(client, status, message):
    future = SimpleNamespace(status=status, key="rows-3", exception=lambda: OSError("no file"))
    parts = cluster.Partitioned(cluster.Cluster(client), "rows", {3: future}, "X")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.Cluster, "wait", lambda self, futures: None)
        with pytest.raises(PartitionError, match=message):
            parts.run(None, None)


def test_a_pass_that_raises_names_the_partition(client, monkeypatch):
    call = ValueAndGradient.__call__

    def broken(self, plan, part, *args):
        if part.number == 5:
            raise MemoryError("no room")
        return call(self, plan, part, *args)

    monkeypatch.setattr(ValueAndGradient, "__call__", broken)
    with pytest.raises(PartitionError, match="Partition 5 of X: MemoryError: no room"):
        fit(client)
    assert_nothing_is_left(client)


def test_a_client_that_is_closed_ends_the_fit(monkeypatch):
    client = in_threads(2)
    at = At(monkeypatch, 4, client.close)
    model = DaskDeepLogisticClassifier(**OPTIONS, max_iter=10**5, client=client)
    with pytest.raises(RuntimeError, match="connection to the Dask scheduler was lost during the fit"):
        model.fit(*make_collections())
    assert at.has_acted()
    assert not hasattr(model, "coefs_")
    assert not hasattr(model, "n_features_in_")


def test_a_connection_that_breaks_ends_the_fit_before_the_client_notices(client, monkeypatch):
    def broken(self, *args, **options):
        raise CommClosedError("Stream is closed")

    monkeypatch.setattr(distributed.Client, "run", broken)
    with pytest.raises(cluster.ClusterError, match=r"scheduler was lost during the fit \(Stream is closed\)"):
        fit(client)


SCHEDULER = """
import asyncio, distributed

async def main():
    async with distributed.Scheduler(port=0, dashboard_address=":0") as scheduler:
        async with distributed.Worker(scheduler.address, nthreads=1, dashboard_address=":0"):
            print(scheduler.address, flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_scheduler_that_dies_ends_the_fit(monkeypatch):
    command = [sys.executable, "-c", SCHEDULER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        client = distributed.Client(process.stdout.readline().strip(), set_as_default=False)
        at = At(monkeypatch, 4, process.kill)
        try:
            with pytest.raises(RuntimeError, match="connection to the Dask scheduler was lost"):
                fit(client, max_iter=10**5)
            assert at.has_acted()
        finally:
            process.kill()
            with suppress(TimeoutError, OSError):
                client.close(timeout=2)


def test_a_cluster_without_workers_ends_the_fit(monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS_WITHOUT_WORKERS", 0.2)
    monkeypatch.setattr(cluster, "_SECONDS_BETWEEN_LOOKS", 0.1)
    with in_threads(0) as client, pytest.raises(RuntimeError, match="has had no workers"):
        fit(client)


def test_a_task_may_take_longer_than_a_cluster_may_lack_workers(client, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS_WITHOUT_WORKERS", 0.2)
    monkeypatch.setattr(cluster, "_SECONDS_BETWEEN_LOOKS", 0.05)
    one = cluster.Cluster(client)
    assert one.gather(one.map(lambda seconds: time.sleep(seconds) or seconds, [0.6])) == [0.6]


def test_a_task_for_a_worker_that_is_gone_runs_elsewhere(client):
    (future,) = cluster.Cluster(client).map(abs, [-1], worker="inproc://0.0.0.0/1/1")
    assert future.result(timeout=10) == 1


def test_partitions_larger_than_memory_are_spilled_and_summed(expected, tmp_path):
    """The share of the memory for data is so small that no two partitions fit."""
    memory = {"distributed.worker.memory.target": 1e-5, "distributed.worker.memory.spill": False}
    memory |= {"distributed.worker.memory.pause": False, "temporary-directory": str(tmp_path)}
    options = {"processes": False, "threads_per_worker": 1, "memory_limit": "1GB", "dashboard_address": ":0"}
    with dask.config.set(memory), distributed.Client(n_workers=2, **options) as client:
        spilled, ask = [], cluster.Cluster.ask

        def ask_and_count(self, *args):
            spilled.extend(client.run(lambda dask_worker: len(dask_worker.data.disk)).values())
            return ask(self, *args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cluster.Cluster, "ask", ask_and_count)
            model = fit(client)
    assert min(spilled) >= 1
    assert_same_bits(model, expected)


def test_an_error_before_the_fit_leaves_nothing(client):
    X, y = make_collections()
    with pytest.raises(ValueError, match="class"):
        fit(client, data=(X, da.zeros_like(y)))
    assert_nothing_is_left(client)


def test_find_client(client):
    assert cluster.find_client(client) is client
    with client.as_current():
        assert cluster.find_client(None) is client
    with pytest.raises(TypeError, match=r"client must be a dask\.distributed\.Client or None, got 'tcp://x'"):
        cluster.find_client("tcp://x")
    closed = in_threads(1)
    closed.close()
    with pytest.raises(ValueError, match="must be connected to a scheduler, but it is closed"):
        cluster.find_client(closed)


class TestTree:
    @pytest.mark.parametrize("n_workers", [0, 1, 8, 9, 72, 73, 1000])
    def test_every_worker_is_once_in_a_tree_of_few_children(self, n_workers):
        nodes = [Node(str(number), [number, -number]) for number in range(n_workers)]
        roots = cluster.grow_tree(nodes)
        level, found, depth = list(roots), [], 0
        assert len(roots) <= 8
        while level:
            depth += 1
            found += [node.address for node in level]
            assert all(len(node.children) <= 8 for node in level)
            level = [child for node in level for child in node.children]
        assert sorted(found, key=int) == [node.address for node in nodes]
        assert depth <= 4
        numbers = [number for root in roots for number in root.all_numbers]
        assert sorted(numbers) == sorted(number for node in nodes for number in node.numbers)


class TestEvenOwners:
    def test_partitions_stay_where_they_are_if_that_is_even(self):
        places = {0: "a", 1: "b", 2: "a", 3: "b"}
        assert cluster.even_owners(dict.fromkeys(range(4), 10), places, {"a": 1, "b": 1}) == places

    def test_a_partition_stays_if_moving_it_is_no_more_even(self):
        places = {0: "b", 1: "b", 2: "a"}
        assert cluster.even_owners(dict.fromkeys(places, 10), places, {"a": 1, "b": 1}) == places

    def test_partitions_move_from_a_worker_with_too_much(self):
        owners = cluster.even_owners(dict.fromkeys(range(8), 10), dict.fromkeys(range(8), "a"), {"a": 1, "b": 1})
        assert sorted(owners.values()) == ["a"] * 4 + ["b"] * 4
        assert sorted(owners) == list(range(8))

    def test_a_worker_has_partitions_for_its_threads(self):
        owners = cluster.even_owners(dict.fromkeys(range(12), 10), {}, {"a": 1, "b": 3})
        assert list(owners.values()).count("b") == 9

    def test_uneven_partitions_and_places_that_are_gone(self):
        sizes = {0: 60, 1: 10, 2: 10, 3: 10, 4: 10, 5: 20}
        owners = cluster.even_owners(sizes, dict.fromkeys(sizes, "gone"), {"a": 1, "b": 1})
        loads = [sum(sizes[number] for number, worker in owners.items() if worker == name) for name in "ab"]
        assert sorted(loads) == [60, 60]

    def test_without_workers_nothing_is_decided(self):
        assert cluster.even_owners({0: 5}, {}, {}) == {}


def test_loads_of_random_partitions_differ_by_one_partition_at_most():
    rng = np.random.RandomState(0)
    for _ in range(50):
        sizes = dict(enumerate(rng.randint(1, 100, size=rng.randint(1, 40)).tolist()))
        workers = dict.fromkeys("abcd", 1)
        places = {number: "abcd"[rng.randint(4)] for number in sizes}
        owners = cluster.even_owners(sizes, places, workers)
        loads = sorted(sum(size for number, size in sizes.items() if owners[number] == name) for name in workers)
        assert all(high - low <= max(sizes.values()) for low, high in pairwise(loads))
        assert loads[-1] - loads[0] <= 1.5 * max(sizes.values())

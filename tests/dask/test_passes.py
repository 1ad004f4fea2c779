"""Passes over partitions on a worker: the same as a pass over all rows at once, in any order and from any place."""

import asyncio
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.blocks import block_rows
from skrelu._core.datafit import Datafit
from skrelu._core.losses import BinaryLoss, MultinomialLoss
from skrelu._core.network import Network
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._core.weights import RelativeWeights
from skrelu._data.moments import measure_columns
from skrelu._data.rows import WeightedRows

passes = pytest.importorskip("skrelu.dask._passes")
from skrelu.dask._partition import Part, PartitionError  # noqa: E402

N, SIZES = 300, (100, 1, 150, 49)
STOPS = np.cumsum(SIZES).tolist()
RNG = np.random.RandomState(0)
X = RNG.randn(N, 6) + np.array([0, 5, 0, 0, 2, 0])
WEIGHTS = RNG.uniform(0.1, 1, N)
CLASSES = RNG.randint(3, size=N)
KINDS = {
    "binary": (BinaryLoss(), np.where(CLASSES > 0, 1, -1).astype(np.int8)[:, np.newaxis], 1),
    "multiclass": (MultinomialLoss(), CLASSES.astype(np.int32), 3),
}
STANDARDIZATION = Standardization(X.mean(axis=0), 1 / X.std(axis=0))


def problem(kind, *, weighted=True, rows=X, standardization=None, sizes=(5,)):
    """Return the plan, the partitions, the weights of all rows, and the parameters."""
    loss, targets, n_outputs = KINDS[kind]
    network = Network((6, *sizes, n_outputs))
    weights = WEIGHTS if weighted else None
    total = RelativeWeights(None, float(WEIGHTS.sum() if weighted else N), 1.0, 2.0)
    starts = [stop - size for stop, size in zip(STOPS, SIZES, strict=True)]
    parts = [
        Part(number, rows[start:stop], targets[start:stop], *[None if weights is None else weights[start:stop]] * 3)
        for number, (start, stop) in enumerate(zip(starts, STOPS, strict=True))
    ]
    n_blocks = -(-N // block_rows(network.layer_sizes, rows.nnz / N if sparse.issparse(rows) else None, N))
    plan = passes.Plan(network, loss, total, standardization, dict(enumerate(starts)), N, n_blocks, 1)
    parameters = network.initial_parameters(np.random.RandomState(1)) + 0.1
    return plan, parts, weights, parameters


def whole(plan, kind, weights, team, rows=X):
    _, targets, _ = KINDS[kind]
    options = {"sample_weight": weights, "weight_unit": 2.0, "standardization": plan.standardization}
    return Datafit(plan.network, plan.loss, rows, targets, team=team, **options)


def worker_of(parts, n_threads=1, address="here"):
    data = {f"rows-{part.number}": part for part in parts}
    return SimpleNamespace(
        data=data, state=SimpleNamespace(nthreads=n_threads), address=address, contact_address=None, executors={}
    )


def request(work, plan):
    return passes.Request(work, plan, "rows", "X")


def run(work, plan, parts, numbers=None, **options):
    return passes.make_pass(
        request(work, plan), list(range(len(parts))) if numbers is None else numbers, worker_of(parts, **options)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("standardization", [None, STANDARDIZATION], ids=["raw", "standardised"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("sizes", [(), (5,)])
def test_the_sum_over_partitions_is_that_over_all_rows(kind, weighted, standardization, container, sizes):
    rows = container(X)
    plan, parts, weights, theta = problem(
        kind, weighted=weighted, rows=rows, standardization=standardization, sizes=sizes
    )
    with Team(1) as team:
        value, gradient = whole(plan, kind, weights, team, rows).value_and_gradient(theta)
    both = run(passes.ValueAndGradient(theta), plan, parts).total.result()
    assert_allclose(both, np.append(gradient, value), rtol=1e-11, atol=1e-13)
    assert_allclose(run(passes.Value(theta), plan, parts).total.result(), [value], rtol=1e-12)


def test_the_order_threads_and_places_of_partitions_do_not_change_a_bit():
    plan, parts, _, theta = problem("multiclass", standardization=STANDARDIZATION)
    work = passes.ValueAndGradient(theta)
    expected = run(work, plan, parts).total.result()
    assert_array_equal(run(work, plan, parts, [3, 1, 0, 2]).total.result(), expected)
    assert_array_equal(run(work, plan, parts, n_threads=3).total.result(), expected)
    for split in ([0], [2, 3]), ([1, 3], [0]):
        rest = sorted({0, 1, 2, 3} - set(split[0]) - set(split[1]))
        results = [run(work, plan, parts, numbers) for numbers in (*split, rest)]
        assert_array_equal((results[0] + results[1] + results[2]).total.result(), expected)
        assert_array_equal((results[2] + (results[1] + results[0])).total.result(), expected)


def test_terms_and_rows_are_drawn_alike_wherever_partitions_lie():
    plan, parts, weights, theta = problem("multiclass")
    for is_of_terms, n_items in ((True, 40), (False, 40)):
        work = passes.Draw(theta, n_items, 7, is_of_terms)
        drawn = run(work, plan, parts).total
        apart = run(work, plan, parts, [3, 0]) + run(work, plan, parts, [2, 1])
        for one, other in zip(drawn.sample.result(), apart.total.sample.result(), strict=True):
            assert_array_equal(one, other)
        numbers, inclusion = drawn.sample.result()
        assert len(numbers) == n_items
        assert (np.diff(numbers) > 0).all()
        assert (inclusion > 0).all()
        assert (inclusion <= 1).all()
    with Team(1) as team:
        value = whole(plan, "multiclass", weights, team).value(theta)
    assert_allclose(drawn.loss.result(), [value], rtol=1e-12)  # of drawn rows


def test_all_terms_have_the_numbers_of_the_whole():
    plan, parts, _, theta = problem("multiclass")
    numbers, inclusion = run(passes.Draw(theta, 10**4, 0, True), plan, parts).total.sample.result()
    assert_array_equal(numbers, np.arange(3 * N))
    assert (inclusion == 1).all()


def test_sums_of_drawn_rows_are_unbiased():
    """Over many seeds, the weights of the drawn rows over their probabilities add up to those of all rows."""
    plan, parts, _, theta = problem("binary")
    with Team(1) as team:
        datafit = whole(plan, "binary", WEIGHTS, team)
        every = datafit.draw_rows(theta, 10**4, 0)[0].kept()[1].sum()
    totals = []
    for seed in range(150):
        numbers, inclusion = run(passes.Draw(theta, 60, seed, False), plan, parts).total.sample.result()
        weights = run(passes.Draw(theta, 10**4, seed, False), plan, parts).total.sample.kept()
        by_number = dict(zip(weights[0].tolist(), weights[1], strict=True))
        totals.append(sum(by_number[number] / pi for number, pi in zip(numbers.tolist(), inclusion, strict=True)))
    assert abs(np.mean(totals) - every) < 4 * np.std(totals) / np.sqrt(len(totals))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rows_are_taken_from_the_partitions_asked_for(dtype):
    rows = X.astype(dtype)
    plan, parts, _, _ = problem("binary", rows=rows)
    work = passes.Take({0: np.array([99, 3]), 2: np.array([0])})
    found = {part[0]: part[1:] for part in run(work, plan, parts, [2, 0]).total}
    assert found[0][0].dtype == np.float64
    assert_array_equal(found[0][0], rows[[99, 3]])
    assert_array_equal(found[2][0], rows[[101]])
    assert_allclose(found[2][2], 2 * WEIGHTS[[101]])
    assert_array_equal(found[0][1], KINDS["binary"][1][[99, 3]])


def test_moments_are_those_of_all_rows():
    plan, parts, _, _ = problem("binary")
    moments = run(passes.Measure(np.zeros(6, dtype=int), WEIGHTS.max()), plan, parts).total
    first, *others = (part for _, part in sorted(moments, key=lambda item: item[0]))
    for other in others:
        first = first.merged(other)
    columns = measure_columns(WeightedRows(X, KINDS["binary"][1], WEIGHTS), None, 1)
    assert_allclose(first.mean, columns.center, rtol=1e-12, atol=1e-14)
    assert_allclose(np.sqrt(first.squares / first.weight), columns.scale, rtol=1e-12)


def test_partitions_that_are_not_there_are_missing_and_the_others_are_summed():
    plan, parts, _, theta = problem("binary")
    work = passes.ValueAndGradient(theta)
    some = run(work, plan, parts[:2])
    all_asked = passes.make_pass(request(work, plan), [0, 1, 2, 3], worker_of(parts[:2]))
    assert sorted(all_asked.missing) == [2, 3]
    assert_array_equal(all_asked.total.result(), some.total.result())
    none = passes.make_pass(request(work, plan), [2], worker_of(parts[:2]))
    assert none.total is None
    assert none.missing == [2]


def test_a_partition_that_raises_names_itself():
    plan, parts, _, theta = problem("binary")
    broken = [*parts[:3], Part(3, parts[3].X[:, :4], parts[3].targets, None, None, None)]
    result = run(passes.ValueAndGradient(theta), plan, broken)
    assert isinstance(result.error, PartitionError)
    assert "Partition 3 of X: ValueError" in str(result.error)


def test_a_sum_of_results_has_the_error_of_a_partition_and_the_longest_time():
    of_partition, of_worker = PartitionError("Partition 3"), OSError("gone")
    one, other = passes.Result(None, [], of_partition, 1.0), passes.Result(None, [1], of_worker, 2.0)
    for total in (one + other, other + one):
        assert total.error is of_partition
        assert total.seconds == 2.0


class SpilledData(dict):
    """Like Dask's store: some partitions are in `fast`, the others in `slow`, from where it moves what is asked for."""

    def __init__(self, data):
        super().__init__(data)
        self.fast, self.slow, self.n_moved = dict(list(data.items())[:2]), dict(list(data.items())[2:]), 0

    def __getitem__(self, key):
        self.n_moved += 1
        return super().__getitem__(key)


def test_partitions_on_the_disk_are_read_and_not_moved():
    plan, parts, _, theta = problem("binary")
    worker = worker_of(parts)
    expected = run(passes.Value(theta), plan, parts).total.result()
    worker.data = SpilledData(worker.data)
    result = passes.make_pass(request(passes.Value(theta), plan), [0, 1, 2, 3], worker)
    assert_array_equal(result.total.result(), expected)
    assert worker.data.n_moved == 0
    worker.data.slow.clear()  # as if one moved between two looks
    result = passes.make_pass(request(passes.Value(theta), plan), [0, 1, 2, 3], worker)
    assert_array_equal(result.total.result(), expected)
    assert worker.data.n_moved == 2


def test_threads_are_those_of_the_worker_unless_n_jobs_says_otherwise(monkeypatch):
    plan, parts, _, theta = problem("binary")
    seen = []
    monkeypatch.setattr(passes, "Team", lambda n_threads: seen.append(n_threads) or Team(n_threads))
    passes.make_pass(request(passes.Value(theta), replace(plan, n_jobs=None)), [0], worker_of(parts, 3))
    passes.make_pass(request(passes.Value(theta), replace(plan, n_jobs=2)), [0], worker_of(parts, 3))
    assert seen == [3, 2]


def ask(nodes, workers, plan, theta, lost=(), broken=()):
    """Send a request to the first of the nodes; workers reach each other by address.

    Those that are lost do not answer, those that are broken answer with an error.
    """

    class Comm:
        def __init__(self, address):
            self.address = address

        async def run(self, function, args, kwargs):
            if self.address in lost:
                raise OSError("the worker is gone")
            if self.address in broken:
                return {"status": "error", "exception": "of the worker"}
            result = await pickle.loads(function)(
                *pickle.loads(args), **pickle.loads(kwargs), dask_worker=workers[self.address]
            )
            return {"status": "OK", "result": result}

    for worker in workers.values():
        worker.rpc = Comm
        worker.executors = {"default": None}
    first = workers[nodes[0].address]
    return asyncio.run(passes.run_on_worker(request(passes.ValueAndGradient(theta), plan), nodes, first))


def test_workers_add_the_results_of_those_below_them():
    plan, parts, _, theta = problem("binary")
    workers = {str(part.number): worker_of([part], address=str(part.number)) for part in parts}
    leaves = (passes.Node("2", [2]), passes.Node("3", [3]))
    nodes = (passes.Node("0", [0], (passes.Node("1", [1], leaves),)),)
    expected = run(passes.ValueAndGradient(theta), plan, parts).total.result()
    result = ask(nodes, workers, plan, theta)
    assert_array_equal(result.total.result(), expected)
    assert result.missing == []
    expected = run(passes.ValueAndGradient(theta), plan, parts, [0]).total.result()
    for options, kind, message in (
        ({"lost": {"1"}}, OSError, "the worker is gone"),
        ({"broken": {"1"}}, RuntimeError, "of the worker"),
    ):
        result = ask(nodes, workers, plan, theta, **options)
        assert sorted(result.missing) == [1, 2, 3]
        assert isinstance(result.error, kind)
        assert message in str(result.error)
        assert_array_equal(result.total.result(), expected)


def test_a_worker_finds_itself_by_the_address_at_which_others_reach_it():
    plan, parts, _, theta = problem("binary")
    worker = worker_of(parts, address="inside")
    worker.contact_address = "outside"
    assert ask((passes.Node("outside", [0, 1, 2, 3]),), {"outside": worker}, plan, theta).missing == []

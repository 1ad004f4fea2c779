"""A cluster in this process, so that the code of its workers counts for the coverage, and collections of a table."""

import gc
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skrelu import DeepLogisticClassifier
from tests.problems import load_table

SIZES = (50, 0, 1, 60, 39)  # uneven; one partition is empty, and one has a single row
N_ROWS = sum(SIZES)
OPTIONS = {"alpha": 0.1, "early_stopping": False, "max_iter": 4, "random_state": 0}


@pytest.fixture(scope="module")  # other modules compute without a cluster
def client():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
        yield client


@pytest.fixture
def nothing_is_left(client):
    """Check after the test that the cluster has forgotten the fit."""
    yield
    assert_nothing_is_left(client)


def assert_nothing_is_left(client, seconds=5):
    """Wait until the client has no futures, the scheduler no tasks, and the workers hold no bytes of data."""
    began, n_collected = time.monotonic(), 0
    while client.futures or list_tasks(client) or count_bytes(client):
        passed = time.monotonic() - began
        assert passed < seconds, (client.futures, list_tasks(client), count_bytes(client))
        if passed > 0.1 + n_collected:  # a collection takes longer than the fit
            gc.collect()
            n_collected += 1
        time.sleep(0.005)


def list_tasks(client):
    return client.run_on_scheduler(lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks])


def count_bytes(client):
    """Return the bytes of data that the workers hold, as the scheduler knows them."""
    return client.run_on_scheduler(lambda dask_scheduler: sum(w.nbytes for w in dask_scheduler.workers.values()))


def data_of(kind):
    X, y = load_table(kind)
    numbers = np.random.RandomState(0).permutation(len(X))[:N_ROWS]
    return X[numbers, :6], y[numbers]


def cut(values, sizes=SIZES):
    stops = np.cumsum(sizes)
    return [values[stop - size : stop] for size, stop in zip(sizes, stops, strict=True)]


def as_array(values, sizes=SIZES, n_columns=None):
    """Return a Dask array with chunks of these numbers of rows."""
    da = pytest.importorskip("dask.array")
    return da.from_array(values, chunks=(tuple(sizes), *(n_columns or n for n in values.shape[1:])))


def of_parts(parts, shape, dtype=float):
    """Return a Dask array of shape (nan, ...) whose chunks are these arrays, matrices or delayed objects."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    chunks = [
        da.from_delayed(dask.delayed(part), (np.nan, *shape), dtype, meta=np.empty((0, *shape))) for part in parts
    ]
    return da.concatenate(chunks, allow_unknown_chunksizes=True)


def as_frame(values, sizes=SIZES):
    """Return a Dask data frame or series of one of pandas."""
    dask, dd = pytest.importorskip("dask"), pytest.importorskip("dask.dataframe")
    return dd.from_delayed([dask.delayed(part) for part in cut(values, sizes)], meta=values.iloc[:0])


def forget_sizes(array):
    """Return an array whose numbers of rows are not known."""
    da = pytest.importorskip("dask.array")
    return array[da.ones(array.shape[0], chunks=(array.chunks[0],), dtype=bool)]


def fit(model, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **options)


def fit_locally(X, y, sample_weight=None, **options):
    return fit(DeepLogisticClassifier(**OPTIONS | options), X, y, sample_weight)


def fit_on_cluster(X, y, sample_weight=None, **options):
    dask_models = pytest.importorskip("skrelu.dask")
    return fit(dask_models.DaskDeepLogisticClassifier(**OPTIONS | options), X, y, sample_weight)


def assert_same_fit(model, expected, rtol=1e-6):
    """Compare a fit on the cluster with a local one, up to the order of sums."""
    assert_allclose(model.loss_, expected.loss_, rtol=rtol)
    assert model.n_iter_ == expected.n_iter_
    assert model.n_features_in_ == expected.n_features_in_
    assert model.out_activation_ == expected.out_activation_
    assert_array_equal(model.classes_, expected.classes_)
    assert model.classes_.dtype.kind == expected.classes_.dtype.kind
    assert_allclose(model.alpha_, expected.alpha_, rtol=rtol)
    for name in ("feature_mean_", "feature_scale_"):
        ours, theirs = getattr(model, name), getattr(expected, name)
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert ours.dtype == theirs.dtype
        assert_allclose(ours, theirs, rtol=0, atol=100 * rtol * max(np.abs(theirs).max(), 1))

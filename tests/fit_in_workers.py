"""A script: fit in worker processes, started by the method named, and say whether the bits are those found here.

    python fit_in_workers.py fork

A process that forks does so twice, the second time while another thread of it is in the middle of a fit.
"""

import multiprocessing
import sys
import threading
import warnings

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from skrelu import DeepLogisticClassifier
from skrelu._core import blocks

SECONDS = 60
MODELS = [DeepLogisticClassifier((10,), alpha=30.0, n_jobs=n_jobs, random_state=0) for n_jobs in (None, 2)]
MODELS.append(DeepLogisticClassifier((5,), n_curvature_terms=50, n_jobs=2, random_state=0))


def make_rows():
    X = np.random.RandomState(0).randn(2000, 20)
    return X, (X[:, 0] * X[:, 1] > X[:, 2]).astype(int)


def fit(_=None):
    """Return the bits of all fits, and how many threads BLAS may use after them."""
    blocks._MAX_MULTIPLY_ADDS = 1  # blocks of 512 rows, so that both threads have work
    X, y = make_rows()
    with threadpool_limits(2, user_api="blas"):
        bits = [clone(model).fit(X, y).predict_proba(X).tobytes() for model in MODELS]
        return bits, [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


class Pause:
    """A callback that holds a fit up after an iterate."""

    def __init__(self):
        self.is_reached, self.may_go_on = threading.Event(), threading.Event()

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.is_reached.set()
        self.may_go_on.wait(SECONDS)


def check(method, expected):
    with multiprocessing.get_context(method).Pool(2) as pool:
        for found in pool.map_async(fit, range(2), chunksize=1).get(SECONDS):
            assert found == expected


def check_during_a_fit(method, expected):
    pause = Pause()
    model = clone(MODELS[1]).set_callbacks(pause)
    thread = threading.Thread(target=model.fit, args=make_rows())
    thread.start()
    try:
        assert pause.is_reached.wait(SECONDS)
        check(method, expected)
    finally:
        pause.may_go_on.set()
        thread.join()
    assert model.predict_proba(make_rows()[0]).tobytes() == expected[0][1]


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # what is tested
    expected = fit()
    check(sys.argv[1], expected)
    if sys.argv[1] == "fork":
        check_during_a_fit("fork", expected)
    print("the same bits")

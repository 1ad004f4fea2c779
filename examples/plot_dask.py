"""
A fit on a Dask cluster
=======================

After this page you can fit a network to Dask collections, check the result against a local fit, and see what an
iteration on a cluster costs.

The cluster here is two workers inside this process, so the page runs anywhere. On a real one the client has an
address, ``Client("tcp://scheduler:8786")``, and the rest stays as it is. The guide says :doc:`how to set it up
</guide/dask>`, and :doc:`how far it scales </guide/dask_scaling>`.
"""

import json
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skrelu import DeepLogisticClassifier
from skrelu.dask import DaskDeepLogisticClassifier


def start(n_workers):
    return Client(
        processes=False,
        n_workers=n_workers,
        threads_per_worker=1,
        dashboard_address=":0",
    )


def in_partitions(X, y, n_rows):
    return da.from_array(X, chunks=(n_rows, -1)), da.from_array(y, chunks=n_rows)


# %%
# With default parameters
# -----------------------
# The training rows are in three partitions. The evidence chooses alpha, as in a local fit, and the two models differ by
# rounding alone. L-BFGS magnifies it, so they are equally good, but not the same.

table, labels = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(table, labels, random_state=0)
parts = in_partitions(X, y, 150)
with start(2) as client:
    model = DaskDeepLogisticClassifier((5,), random_state=0).fit(*parts)
    print(f"{model.n_iter_} iterations on {len(client.nthreads())} workers")
    print(f"training accuracy, computed by the workers: {model.score(*parts):.3f}")
local = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
for name, fitted in (("cluster", model.to_local()), ("local", local)):
    print(
        f"{name:8} test log-loss {log_loss(y_test, fitted.predict_proba(X_test)):.4f} nats, "
        f"accuracy {fitted.score(X_test, y_test):.3f}"
    )

# %%
# The same objective, and the same bits
# -------------------------------------
# Without early stopping no row is held out. Then the fit on the cluster has the objective of the
# local fit, up to rounding, and the very same bits on one worker and on two.

options = {
    "alpha": 10,
    "standardize": True,
    "early_stopping": False,
    "random_state": 0,
}
models = []
for n_workers in (1, 2):
    with start(n_workers):
        models.append(DaskDeepLogisticClassifier((10,), **options).fit(*parts))
one, two = models
local = DeepLogisticClassifier((10,), **options).fit(X, y)
print(f"loss per row: {one.loss_:.10f} on the cluster, {local.loss_:.10f} local")
assert abs(one.loss_ / local.loss_ - 1) < 1e-6
for layer_of_one, layer_of_two in zip(one.coefs_, two.coefs_, strict=True):
    assert np.array_equal(layer_of_one, layer_of_two)

# %%
# The time of an iteration
# ------------------------
# If the figures of ``benchmarks/dask_cluster.py`` are at hand, they are drawn: 300000 rows and workers that are
# processes. Otherwise fewer rows are measured here, on workers that are threads of this process, beside a local fit
# with as many threads. The time of an iteration is the difference of a long and a short fit, so nothing before the
# first iteration counts.


def seconds_per_iteration(make, *data):
    seconds, n_iters = [], (3, 13)
    for max_iter in n_iters:
        begin = perf_counter()
        with warnings.catch_warnings(action="ignore"):  # it does not converge
            make(max_iter).fit(*data)
        seconds.append(perf_counter() - begin)
    return (seconds[1] - seconds[0]) / (n_iters[1] - n_iters[0])


def measure(n_rows=20_000, workers=(1, 2)):
    X, y = make_classification(n_rows, 30, n_informative=10, random_state=0)
    fixed = {"alpha": 1, "early_stopping": False, "tol": 0, "random_state": 0}

    def make(kind, **more):
        return lambda max_iter: kind((64, 32), **fixed, max_iter=max_iter, **more)

    fits = {}
    for n in workers:
        local = make(DeepLogisticClassifier, n_jobs=n)
        cluster = make(DaskDeepLogisticClassifier)
        with start(n):
            data = in_partitions(X, y, n_rows // 4)
            times = [
                (
                    seconds_per_iteration(local, X, y),
                    seconds_per_iteration(cluster, *data),
                )
                for _ in range(5)  # in turn, as other programs may run meanwhile
            ]
        alone, shared = zip(*times, strict=True)
        fits[n] = {"iteration": shared, "parts": {"local fit": median(alone)}}
    return fits


def read(path):
    """Return the figures of the benchmark: those of clusters, by their workers."""
    figures = json.loads(path.read_text())["iteration"]["fits"]
    solver = next(
        fit["parts"]["solver"] for name, fit in figures.items() if "local" in name
    )
    fits = {
        int(name.split()[1]): fit for name, fit in figures.items() if "Dask" in name
    }
    for fit in fits.values():
        fit["parts"]["L-BFGS on the client"] = solver
    return fits


figures = Path("../docs/benchmarks/dask.json")
fits = read(figures) if figures.exists() else measure()
workers = sorted(fits)
times = [1e3 * median(fits[n]["iteration"]) for n in workers]
for n, time in zip(workers, times, strict=True):
    print(f"{n} worker(s): {time:.1f} ms per iteration")

figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
axes.plot(workers, times, "o-", label="measured")
axes.plot(
    workers,
    [times[0] * workers[0] / n for n in workers],
    ":",
    color="0.5",
    label="ideal",
)
axes.set(xlabel="workers", ylabel="ms per iteration", xticks=workers)
axes.set_ylim(bottom=0)
_ = axes.legend()

# %%
# Where the time goes
# -------------------
# The computation is divided by the workers. What remains is the same for any number of rows: the messages, the sums of
# the workers' gradients, and the step of L-BFGS. So it does not count for many rows, and is most of the time for few.

figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
names = list(dict.fromkeys(name for n in workers for name in fits[n]["parts"]))
bottom = np.zeros(len(workers))
for name in names:
    height = np.array([1e3 * fits[n]["parts"].get(name, 0.0) for n in workers])
    if height.any():
        axes.bar(range(len(workers)), height, 0.6, bottom, label=name)
    bottom += height
rest = np.maximum(np.array(times) - bottom, 0)
axes.bar(range(len(workers)), rest, 0.6, bottom, label="messages and the rest")
axes.set_xticks(range(len(workers)), [f"{n} worker(s)" for n in workers])
axes.set(ylabel="ms per iteration")
axes.set_ylim(top=1.4 * (bottom + rest).max())
_ = axes.legend()
plt.show()

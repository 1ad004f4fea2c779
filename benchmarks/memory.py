"""Private memory of a fit beyond its data: with the rows of a memory map, and with a large sparse matrix.

python benchmarks/memory.py --rows 20000000
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from competitors import PeakMemory
from scipy import sparse

from skrelu import DeepLogisticClassifier

N_FEATURES = 8


def report(what: str, work: Callable[[], object], n_rows: int) -> None:
    start = time.perf_counter()
    with PeakMemory() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no fit converges in so few iterations
        work()
    seconds = time.perf_counter() - start
    per_row = memory.beyond / n_rows
    print(f"{what:46}{memory.beyond / 2**20:8.0f} MB{per_row:8.1f} bytes/row{seconds:8.1f} s", flush=True)


def map_rows(path: Path, n_rows: int) -> np.ndarray:
    """Write float32 rows to a file and map it."""
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, N_FEATURES))
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, 10**6):
        part = rows[start : start + 10**6]
        part[...] = rng.standard_normal(part.shape, dtype=np.float32)
    rows.flush()
    return np.load(path, mmap_mode="r")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    n_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        X = map_rows(Path(folder) / "X.npy", n_rows)
        y = (X[:, 0] * X[:, 1] > 0).astype(np.int8)
        print(f"memory map, {n_rows} x {N_FEATURES} float32, {X.nbytes / 2**20:.0f} MB, layers (16,), 3 iterations")
        for early_stopping in (False, True):
            model = DeepLogisticClassifier((16,), alpha=1.0, early_stopping=early_stopping, max_iter=3, random_state=0)
            report(f"  fit, early_stopping={early_stopping}", lambda model=model: model.fit(X, y), n_rows)
        report("  predict", lambda: model.predict(X), n_rows)

    rng = np.random.default_rng(0)
    X = sparse.random_array((500_000, 20_000), density=5e-4, format="csr", rng=rng)
    y = (X @ rng.standard_normal(20_000) > 0).astype(np.int8)
    size = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
    print(f"sparse, {X.shape[0]} x {X.shape[1]} at density 5e-4, {size:.0f} MB, 3 iterations")
    for hidden in ((), (10,), (100,)):
        model = DeepLogisticClassifier(hidden, alpha=1.0, early_stopping=False, max_iter=3, random_state=0)
        n_parameters = 20_001 * (hidden[0] if hidden else 1)
        report(f"  fit, layers {hidden}, {n_parameters} parameters", lambda model=model: model.fit(X, y), X.shape[0])


if __name__ == "__main__":
    main()

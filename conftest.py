"""Settings of the tests: processes, the threads and the seed of each process, and files that are not collected."""

import os
from importlib.util import find_spec

import pytest

# More processes would mostly spend their time on imports.
MAX_WORKERS = 8
# Test files with `n_jobs=2`: the first to run starts the processes of joblib, and the others use them again.
FILES_WITH_PROCESSES = {"test_callbacks", "test_classifier", "test_cv", "test_inspection_tools", "test_meta_estimators"}
FILES_WITH_PROCESSES |= {"test_searches", "test_threads"}

collect_ignore = []
if any(find_spec(name) is None for name in ("skl2onnx", "onnxruntime")):
    collect_ignore.append("skrelu/onnx.py")  # the examples in its docstrings need both


def count_processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_processors() -> None:
    """In a process of pytest-xdist, limit BLAS to this process's part of the processors. A test may set another limit.

    BLAS reads these variables when NumPy is imported, which no plugin has done yet. Processes that a test starts
    inherit them.
    """
    n_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if n_workers > 1:
        n_threads = str(max(count_processors() // n_workers, 1))
        for library in ("OPENBLAS", "MKL", "OMP", "BLIS"):
            os.environ.setdefault(f"{library}_NUM_THREADS", n_threads)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of processes for `-n auto`: one for each processor; 0 if files or tests are given by name."""
    options = config.option
    is_a_part = config.args_source is config.ArgsSource.ARGS or options.keyword or getattr(options, "lf", False)
    return 0 if is_a_part else min(count_processors(), MAX_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that start processes first, so that one process of pytest-xdist runs them all."""
    items.sort(key=lambda item: item.path.stem not in FILES_WITH_PROCESSES)


@pytest.fixture(autouse=True)
def seed_of_numpy() -> None:
    """Seed NumPy before each test, so that an estimator without `random_state` does the same in every run."""
    import numpy as np  # not before `share_processors`

    np.random.seed(0)  # noqa: NPY002 - the state that `random_state=None` means


share_processors()

"""How the tests run: in how many processes, with how many threads each, and what pytest does not collect."""

import os
from importlib.util import find_spec

import pytest

# Many more processes would spend their time on imports.
MAX_WORKERS = 8
# Files of tests with `n_jobs=2`: the first to run starts processes of joblib, which the next find there.
FILES_WITH_PROCESSES = {"test_callbacks", "test_classifier", "test_cv", "test_inspection_tools", "test_meta_estimators"}
FILES_WITH_PROCESSES |= {"test_searches", "test_threads"}

collect_ignore = []
if any(find_spec(name) is None for name in ("skl2onnx", "onnxruntime")):
    collect_ignore.append("skrelu/onnx.py")  # the examples in its docstrings need both


def count_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_processors() -> None:
    """In a process of pytest-xdist, let BLAS have as many threads as fall to it; a test may still set its own limit.

    BLAS reads these names when NumPy is imported, which no plugin has done yet. What a test starts inherits them.
    """
    n_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if n_workers > 1:
        n_threads = str(max(count_processors() // n_workers, 1))
        for library in ("OPENBLAS", "MKL", "OMP", "BLIS"):
            os.environ.setdefault(f"{library}_NUM_THREADS", n_threads)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Answer `-n auto`: one process for each processor, and pytest's own for a few files or tests asked for by name."""
    options = config.option
    is_a_part = config.args_source is config.ArgsSource.ARGS or options.keyword or getattr(options, "lf", False)
    return 0 if is_a_part else min(count_processors(), MAX_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that start processes at the beginning, so that they fall to one process of pytest-xdist."""
    items.sort(key=lambda item: item.path.stem not in FILES_WITH_PROCESSES)


share_processors()

"""The benchmark of fits on a Dask cluster (`benchmarks/dask_cluster.py`): its turns, its figures, its files."""

import io
import json
import os
import subprocess
import sys
from argparse import Namespace

import dask.dataframe as dd
import numpy as np
import pytest

from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def dask_cluster():
    yield from import_benchmark("dask_cluster")


@pytest.fixture(scope="module")
def dask_fits():
    yield from import_benchmark("dask_fits")


@pytest.fixture(scope="module")
def dask_memory():
    yield from import_benchmark("dask_memory")


@pytest.fixture(scope="module")
def dask_picture():
    yield from import_benchmark("dask_picture")


@pytest.fixture(scope="module")
def spark_mlp():
    yield from import_benchmark("spark_mlp")


@pytest.fixture
def pair(dask_fits):
    """Return a fit of 2 iterations, and one of 12 in which each iteration takes 0.3 s more."""
    short = dask_fits.Fit(5.0, 2, 4, 0.7, {"computation": 0.5})
    return short, dask_fits.Fit(8.0, 12, 16, 0.4, {"computation": 2.5})


def test_what_comes_before_the_first_iteration_does_not_count(pair):
    short, long = pair
    assert long.per_iteration_after(short) == pytest.approx(0.3)
    assert long.per_evaluation_after(short) == pytest.approx(0.25)
    assert long.parts_after(short) == pytest.approx({"computation": 0.2})


def test_figures_of_the_rounds(dask_cluster, dask_fits, pair):
    slower = dask_fits.Fit(11.0, 12, 16, 0.4, {"computation": 5.5})
    figures = dask_cluster.describe_rounds([pair, (pair[0], slower)])
    assert figures["iteration"] == pytest.approx([0.3, 0.6])
    assert figures["evaluation"] == pytest.approx([0.25, 0.5])
    assert figures["parts"] == pytest.approx({"computation": 0.35})
    assert figures["evaluations_per_iteration"] == pytest.approx(1.2)
    of_spark = [dask_fits.Fit(seconds, n_iter, np.nan, 0.4) for seconds, n_iter in ((5.0, 2), (8.0, 12))]
    figures = dask_cluster.describe_rounds([tuple(of_spark)])
    assert figures == {"iteration": pytest.approx([0.3]), "parts": {}, "loss": 0.4}


def test_fits_take_turns_and_the_first_ones_do_not_count(dask_cluster):
    log = []

    def fitter(name):
        return lambda n_iter: log.append((name, n_iter)) or len(log)

    pairs = dask_cluster.time_rounds({"a": fitter("a"), "b": fitter("b")}, (2, 12), 2)
    one_round = [("a", 2), ("a", 12), ("b", 2), ("b", 12)]
    assert log == [("a", 2), ("b", 2), *one_round, *one_round]
    assert pairs == {"a": [(3, 4), (7, 8)], "b": [(5, 6), (9, 10)]}


def test_ratios_are_those_of_the_same_round(dask_cluster, capsys):
    fits = {
        "local, 2 threads": {"iteration": [0.1, 0.2, 0.4], "parts": {"computation": 0.15}, "loss": 0.5},
        "Spark, blocks of 128": {"iteration": [0.3, 0.4, 0.2], "parts": {}, "loss": 0.25},
    }
    fits["local, 2 threads"] |= {"evaluation": [0.1, 0.1, 0.1], "evaluations_per_iteration": 1.5}
    results = {"shape": "9x2", "hidden": [3], "n_parts": 1, "fits": fits}
    dask_cluster.print_iterations(results, "iteration", "iteration")
    local, spark = capsys.readouterr().out.splitlines()[-2:]
    assert local.split()[3:] == ["200.00", "100.00", "400.00", "150.00", "1.50", "1.00", "1.00", "1.00", "0.500000"]
    assert spark.split()[4:] == ["300.00", "200.00", "400.00", "-", "-", "2.00", "0.50", "3.00", "0.250000"]
    del fits["Spark, blocks of 128"]
    dask_cluster.print_iterations(results, "overhead", "evaluation")
    local = capsys.readouterr().out.splitlines()[-1]
    assert local.split()[3:7] == ["100.00", "100.00", "100.00", "100.00"]


def test_a_local_fit_tells_its_evaluations_from_the_rest(dask_fits):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5))
    fit = dask_fits.fit_locally(X, (X[:, 0] > 0).astype(int), (8,), 4, 1)
    assert fit.n_iter == 4
    assert fit.n_evaluations >= 5
    assert fit.spent["computation"] > 0
    assert fit.spent["solver"] > 0
    assert sum(fit.spent.values()) == pytest.approx(fit.seconds)


def test_spark_that_cannot_run_is_left_out(dask_cluster, dask_fits, tmp_path, capsys):
    arguments = Namespace(spark_python=str(tmp_path / "nothing"), rounds=1, workers=[])
    results = dask_cluster.time_iterations(["spark"], arguments)
    assert "Spark is left out" in capsys.readouterr().out
    assert "fits" not in results
    dask_cluster.print_iterations(results, "spark", "iteration")
    assert capsys.readouterr().out == ""


def test_an_error_of_spark_is_an_answer(spark_mlp, monkeypatch):
    def fail(*_):
        raise ImportError("no Spark here")

    monkeypatch.setattr(spark_mlp, "Spark", fail)
    answers = io.StringIO()
    spark_mlp.serve(io.StringIO(""), answers, Namespace(folder=None, hidden=[], cores=1))
    assert json.loads(answers.getvalue()) == {"error": "ImportError: no Spark here"}


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of Dask's own call to pandas 3.1
def test_parts_have_their_own_rows_and_the_files_hold_them(dask_memory, tmp_path):
    parts = list(dask_memory.generate_parts(250, 100))
    assert [len(X) for X, _ in parts] == [100, 100, 50]
    assert parts[0][0].dtype == np.float32
    assert not np.array_equal(parts[0][0], parts[1][0])
    dask_memory.write_parquet(tmp_path, iter(parts))
    X, y = dask_memory.open_parquet(tmp_path)
    assert isinstance(X, dd.DataFrame)
    assert X.npartitions == 3
    np.testing.assert_array_equal(X.compute().to_numpy(), np.concatenate([rows for rows, _ in parts]))
    np.testing.assert_array_equal(y.compute().to_numpy(), np.concatenate([classes for _, classes in parts]))


def test_zarr_holds_the_same_rows(dask_memory, tmp_path):
    pytest.importorskip("zarr")
    parts = list(dask_memory.generate_parts(250, 100))
    dask_memory.write_zarr(tmp_path, iter(parts), 250, 100)
    X, y = dask_memory.open_zarr(tmp_path)
    assert X.chunks == ((100, 100, 50), (20,))
    np.testing.assert_array_equal(X.compute(), np.concatenate([rows for rows, _ in parts]))
    np.testing.assert_array_equal(y.compute(), np.concatenate([classes for _, classes in parts]))


def test_the_peak_is_that_of_the_processes_and_survives_their_end(dask_memory):
    code = "import sys; block = bytearray(b'1') * 2**26; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # it has its memory
        with dask_memory.PeakOfWorkers([process.pid, os.getpid()], 0.01) as peak:
            process.communicate()
    assert peak.of_one > 2**26
    assert peak.of_all > peak.of_one


def test_tables_are_those_named_or_the_large_ones(dask_cluster):
    assert [table[0] for table in dask_cluster.choose_tables(None, None)] == ["generated", "digits"]
    assert [table[0] for table in dask_cluster.choose_tables(None, ["wine"])] == ["generated", "wine"]


def test_a_part_is_kept_beside_the_others(dask_cluster, tmp_path):
    path = tmp_path / "figures.json"
    dask_cluster.keep(path, "overhead", {"a": 1})
    dask_cluster.keep(path, "memory", {"b": 2})
    dask_cluster.keep(path, "overhead", {"a": 3})
    kept = json.loads(path.read_text())
    assert (kept["overhead"]["a"], kept["memory"]["b"]) == (3, 2)
    assert "cores" in kept["memory"]["machine"]


def test_the_picture_needs_figures(dask_cluster, capsys):
    with pytest.raises(SystemExit):
        dask_cluster.parse(["--parts", "picture"])
    assert "draws the figures of --json" in capsys.readouterr().err
    assert dask_cluster.parse([]).parts == ("iteration", "spark", "overhead", "memory", "tables")


FITS = {
    "local, 2 threads": {"iteration": [0.1, 0.12, 0.11], "parts": {"computation": 0.1, "solver": 0.01}},
    "Dask, 2 workers": {"iteration": [0.13, 0.15, 0.14], "parts": {"computation": 0.09}},
    "Dask, 1 worker": {"iteration": [0.22, 0.22, 0.22], "parts": {"computation": 0.2}},
    "Spark, blocks of 128": {"iteration": [1.0, 1.2, 1.1], "parts": {}},
}


def test_the_parts_of_an_iteration_add_up(dask_picture):
    bars = dask_picture.divide(FITS)
    assert list(bars) == ["local, 2 threads", "Dask, 2 workers", "Dask, 1 worker"]
    assert list(bars["Dask, 2 workers"].values()) == pytest.approx([0.09, 0.04, 0.01])
    for name, bar in bars.items():
        assert sum(bar.values()) == pytest.approx(np.median(FITS[name]["iteration"]))


def test_the_picture_shows_every_fit(dask_picture):
    figure = dask_picture.draw({"iteration": {"fits": FITS}})
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert set(labels) == {"Dask", "Dask, if workers cost nothing", "one process, 2 threads", "Spark, 2 cores"}
    curve = next(line for line in left.lines if list(line.get_xdata()) == [1, 2] and line.get_marker() == "o")
    assert list(curve.get_ydata()) == pytest.approx([220, 140])
    assert len(right.patches) == 3 * len(dask_picture.PARTS)
    dask_picture.plt.close(figure)

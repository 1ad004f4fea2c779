"""The comparison of two revisions (`benchmarks/compare.py`): its cases, its turns and its figures."""

import io
import json
from pathlib import Path

import pytest

from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def compare():
    yield from import_benchmark("compare")


class FakeWorker:
    """Takes its times from a list and notes its name in a log at every call."""

    def __init__(self, name, times, log):
        self.name, self.times, self.log = name, iter(times), log

    def prepare(self, case):
        self.log.append(f"{self.name} prepares {case.kind}")

    def run(self):
        self.log.append(self.name)
        return next(self.times)


def test_the_cases_are_those_asked_for(compare):
    arguments = compare.parse(["HEAD~1", "--shapes", "569x30", "300000x30", "--dtypes", "float64"])
    assert (arguments.revision, arguments.rounds) == ("HEAD~1", 7)
    cases = compare.list_cases(arguments.kinds, arguments.shapes, arguments.dtypes)
    assert [(case.kind, case.shape) for case in cases] == [
        ("fit", "569x30"),
        ("fit", "300000x30"),
        ("evidence", "569x30"),  # that of 300000 rows takes too long
        ("predict", "569x30"),
        ("predict", "300000x30"),
    ]
    every = compare.parse(["HEAD"])
    assert len(compare.list_cases(every.kinds, every.shapes, every.dtypes)) == 2 * 9 + len(compare.EVIDENCE_SHAPES) + 9


def test_the_one_that_begins_changes(compare):
    log = []
    workers = [FakeWorker("old", [1.0, 2.0, 4.0], log), FakeWorker("new", [2.0, 2.0, 2.0], log)]
    times = compare.time_rounds(compare.Case("fit", "569x30", "float64"), *workers, 3)
    assert times == ([1.0, 2.0, 4.0], [2.0, 2.0, 2.0])
    assert log == ["old prepares fit", "new prepares fit", "old", "new", "new", "old", "old", "new"]


def test_the_ratio_is_the_median_of_those_of_the_rounds(compare):
    case = compare.Case("fit", "569x30", "float64")
    comparison = compare.Comparison(case, [1.0, 2.0, 4.0], [3.0, 4.0, 2.0])
    assert comparison.ratios == [3.0, 2.0, 0.5]
    assert comparison.ratio == 2.0
    assert str(comparison).split()[-5:] == ["2000.000", "3000.000", "2.000", "0.500", "3.000"]
    other = compare.Comparison(compare.Case("predict", "1797x64", "float64"), [1.0], [0.5])
    assert compare.summarise([comparison, other]) == (
        "2 cases: geometric mean of the ratios 1.000, worst 2.000 (fit 569x30 float64)"
    )


def test_a_worker_answers_every_line(compare, monkeypatch):
    def prepare(case, folder):
        if case.kind == "predict":
            raise ValueError("no such thing")
        return lambda: None

    monkeypatch.setattr(compare, "prepare", prepare)
    case = {"shape": "569x30", "dtype": "float64"}
    requests = [{"kind": "fit", **case}, None, None, {"kind": "predict", **case}]
    answers = io.StringIO()
    compare.serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), answers, None)
    package, ready, first, second, failed = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert Path(package["package"]).name == "__init__.py"
    assert ready == {"ready": True}
    assert 0 < first["seconds"] < 1
    assert 0 < second["seconds"] < 1
    assert failed == {"error": "ValueError: no such thing"}


def test_a_revision_that_does_not_exist_is_named(compare):
    with pytest.raises(SystemExit, match="no revision 'nowhere'"), compare.check_out("nowhere"):
        pass

"""Does a change of the code make fits or predictions slower? The working tree against a revision.

    python benchmarks/compare.py REV                   # every shape
    python benchmarks/compare.py REV --data FOLDER     # with mnist10k.npz and adult.csv.gz from a folder
    python benchmarks/compare.py REV --shapes 569x30 1797x64 --kinds fit --rounds 15

One process has the package as it was at the revision, another one a copy of the package of the working tree, so that
edits made in the meantime do not matter. In each round each process runs the case once. The revision runs first in one
round and last in the next, so that a slow moment of the machine affects both. A case that is faster than some tenths of
a second is repeated to fill that time, and its median time is taken. The addresses of its arrays make a process some
percent faster or slower for its whole life, so the rounds are divided among several pairs of processes. The kinds of
cases:

- fit: the number of iterations in `shapes.py`, with a fixed alpha, in float64 and float32;
- evidence: a fit with default parameters, in float64;
- predict: `predict_proba` of one row, in float64.

A ratio is the time of the working tree divided by that of the revision: above 1 the working tree is slower. The median
of the ratios of all rounds is printed, with the smallest and the largest.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean, median
from typing import IO, Any, Self

import numpy as np
from revisions import check_out, environment_with, working_tree
from shapes import SHAPES, load_shape

ALPHA = 1.0
MIN_RUN_SECONDS = 0.3
MAX_REPEATS = 3000
# For the other shapes a fit with default parameters takes too long to be repeated.
EVIDENCE_SHAPES = ("569x30 L=1", "569x30", "1797x64", "20000x28 L=1", "20000x28", "adult sparse")
DTYPES = {"fit": ("float64", "float32"), "evidence": ("float64",), "predict": ("float64",)}


@dataclass(frozen=True)
class Case:
    """A case to time: its kind, a name of `shapes.SHAPES`, and the dtype of the rows."""

    kind: str
    shape: str
    dtype: str


def list_cases(kinds: Iterable[str], shapes: Iterable[str], dtypes: Iterable[str]) -> list[Case]:
    shapes, dtypes = list(shapes), list(dtypes)
    return [
        Case(kind, shape, dtype)
        for kind in kinds
        for shape in shapes
        if kind != "evidence" or shape in EVIDENCE_SHAPES
        for dtype in DTYPES[kind]
        if dtype in dtypes
    ]


# --- the process that has one revision's package ------------------------------------------------------------------


def prepare(case: Case, folder: Path | None) -> Callable[[], Any]:
    """Load the data and return the call to time. Only public names of skrelu are used."""
    from skrelu import DeepLogisticClassifier

    shape = load_shape(case.shape, getattr(np, case.dtype), folder)
    if case.kind == "evidence":
        model = DeepLogisticClassifier(shape.hidden, max_iter=20, random_state=0)
        model.fit(shape.X, shape.y)  # so that lazy imports are not timed
        model = DeepLogisticClassifier(shape.hidden, random_state=0)
        return lambda: model.fit(shape.X, shape.y)
    n_iter = shape.n_iter if case.kind == "fit" else 1
    model = DeepLogisticClassifier(
        shape.hidden,
        alpha=ALPHA,
        max_iter=n_iter,
        tol=0,
        n_iter_no_change=np.inf,
        early_stopping=False,
        random_state=0,
    )
    model.fit(shape.X, shape.y)
    if case.kind == "fit":
        return lambda: model.fit(shape.X, shape.y)
    row = shape.X[:1]
    return lambda: model.predict_proba(row)


def run_once(call: Callable[[], Any]) -> float:
    """Return the median seconds of a call, over as many calls as fill some tenths of a second."""
    times: list[float] = []
    while not times or (sum(times) < MIN_RUN_SECONDS and len(times) < MAX_REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def serve(requests: IO[str], answers: IO[str], folder: Path | None) -> None:
    """Answer lines of JSON: the fields of a case when it is ready to run, null with the seconds of a run."""
    import skrelu

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    warnings.simplefilter("ignore")  # so few iterations do not converge
    answer({"package": skrelu.__file__})
    call: Callable[[], Any] | None = None
    for line in requests:
        fields = json.loads(line)
        try:
            if fields is not None:
                call = None  # frees the data of the previous case
                call = prepare(Case(**fields), folder)
                answer({"ready": True})
            elif call is not None:
                answer({"seconds": run_once(call)})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


# --- the process that asks ----------------------------------------------------------------------------------------


class Worker:
    """A process with the package of a folder, which runs cases on request."""

    def __init__(self, name: str, package_folder: Path, data: Path | None) -> None:
        self.name = name
        command = [sys.executable, __file__, name, "--serve", *(["--data", str(data)] if data is not None else [])]
        self._process = subprocess.Popen(
            command, env=environment_with(package_folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        package = Path(self._receive()["package"])
        if not package.is_relative_to(package_folder):
            raise SystemExit(f"{name} was to run the package of {package_folder}, and runs {package}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def prepare(self, case: Case) -> None:
        self._ask(asdict(case))

    def run(self) -> float:
        return float(self._ask(None)["seconds"])

    def _ask(self, request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise SystemExit(f"{self.name}: {answer['error']}")
        return dict(answer)


@dataclass(frozen=True)
class Comparison:
    """Seconds of a case in each round: `before` with the revision, `after` with the working tree."""

    case: Case
    before: list[float]
    after: list[float]

    @property
    def ratios(self) -> list[float]:
        return [after / before for before, after in zip(self.before, self.after, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    def __str__(self) -> str:
        layers = SHAPES[self.case.shape][0]
        return (
            f"{self.case.kind:9}{self.case.shape:13}{layers!s:11}{self.case.dtype:8}"
            f"{1e3 * median(self.before):11.3f}{1e3 * median(self.after):11.3f}"
            f"{self.ratio:8.3f}{min(self.ratios):8.3f}{max(self.ratios):7.3f}"
        )


def time_rounds(case: Case, before: Worker, after: Worker, n_rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of both workers in every round; they take turns to run first."""
    times: tuple[list[float], list[float]] = [], []
    workers = before, after
    for worker in workers:
        worker.prepare(case)
    for number in range(n_rounds):
        for turn in (0, 1) if number % 2 == 0 else (1, 0):
            times[turn].append(workers[turn].run())
    return times


def compare(
    cases: list[Case], folders: dict[str, Path], data: Path | None, n_rounds: int, n_pairs: int
) -> list[Comparison]:
    """Time all cases with the packages of two folders; the older one comes first."""
    comparisons = [Comparison(case, [], []) for case in cases]
    for pair in range(n_pairs):
        rounds_of_pair = (pair + 1) * n_rounds // n_pairs - pair * n_rounds // n_pairs
        with ExitStack() as stack:
            before, after = (stack.enter_context(Worker(*named, data)) for named in folders.items())
            for comparison in comparisons:
                seconds = time_rounds(comparison.case, before, after, rounds_of_pair)
                comparison.before.extend(seconds[0])
                comparison.after.extend(seconds[1])
                print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    return comparisons


def summarise(comparisons: list[Comparison]) -> str:
    worst = max(comparisons, key=lambda comparison: comparison.ratio)
    name = f"{worst.case.kind} {worst.case.shape} {worst.case.dtype}"
    mean = geometric_mean([comparison.ratio for comparison in comparisons])
    return f"{len(comparisons)} cases: geometric mean of the ratios {mean:.3f}, worst {worst.ratio:.3f} ({name})"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", help="the revision to compare with, as git knows it")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES), metavar="SHAPE")
    parser.add_argument("--kinds", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES["fit"], default=list(DTYPES["fit"]))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=3, help="of processes, which share the rounds")
    parser.add_argument("--data", type=Path, help="a folder with mnist10k.npz and adult.csv.gz")
    parser.add_argument("--json", type=Path, help="write the seconds of every round to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    if arguments.serve:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # lines that a fit prints must not be read as answers
        serve(sys.stdin, answers, arguments.data)
        return
    cases = list_cases(arguments.kinds, arguments.shapes, arguments.dtypes)
    n_pairs = min(arguments.pairs, arguments.rounds)
    with check_out(arguments.revision) as revision, working_tree() as tree:
        folders = {arguments.revision: revision, "the working tree": tree}
        comparisons = compare(cases, folders, arguments.data, arguments.rounds, n_pairs)
    print(f"{'':41}{'before, ms':>11}{'after, ms':>11}{'ratio':>8}{'least':>8}{'most':>7}")
    for comparison in comparisons:
        print(comparison)
    print(summarise(comparisons))
    if arguments.json:
        records = [
            asdict(comparison) | {"ratio": comparison.ratio, "ratios": comparison.ratios} for comparison in comparisons
        ]
        arguments.json.write_text(json.dumps({"revision": arguments.revision, "cases": records}, indent=1))


if __name__ == "__main__":
    main()

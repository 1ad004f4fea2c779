import numpy as np
import pytest

from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate, NotFiniteError


def make_monitor(**changes):
    options = {"validate": None, "n_iter_no_change": np.inf, "tol": 0.1, "verbose": False, "name": "iterate"}
    return Monitor(**(options | changes))


def feed(monitor, values):
    """Pass iterates of the given objective, whose parameter is the value too; return the outcomes."""
    outcomes = []
    for number, value in enumerate(values):
        outcomes.append(
            monitor.watch(Iterate(number, np.array([float(value)]), float(value), np.array([0.5]), number == 0))
        )
    return outcomes


def test_the_record_starts_with_the_first_iterate():
    monitor = make_monitor()
    assert feed(monitor, [3.0, 2.0, 1.5]) == [None, None, None]
    assert monitor.loss_curve == [2.0, 1.5]
    assert monitor.validation_scores == []
    assert monitor.best.number == 2


def test_the_best_validated_iterate_is_kept_not_the_last():
    losses = dict(zip([4.0, 3.0, 2.0, 1.0], [0.9, 0.5, 0.7, 0.6], strict=True))
    monitor = make_monitor(validate=lambda parameters: losses[float(parameters[0])])
    feed(monitor, list(losses))
    assert monitor.validation_scores == [-0.5, -0.7, -0.6]
    assert (monitor.best.number, monitor.best_score) == (1, -0.5)


def test_the_start_is_kept_if_nothing_later_is_better():
    monitor = make_monitor(validate=lambda parameters: 5.0 - float(parameters[0]))
    feed(monitor, [4.0, 3.0, 2.0])
    assert (monitor.best.number, monitor.best_score) == (0, -1.0)


def test_patience_counts_iterates_without_a_rise_by_tol():
    scores = iter([-5.0, -4.0, -3.95, -3.9, -3.85, -3.0, -2.99, -2.98, -2.97])
    monitor = make_monitor(validate=lambda parameters: -next(scores), n_iter_no_change=2)
    # -3.95 is no rise by 0.1 over -4; -3.9 none over -3.95, and so on: the best moves, the patience runs out.
    assert feed(monitor, range(5)) == [None, None, None, None, Outcome.EARLY_STOPPING]
    assert monitor.best_score == -3.85


def test_without_validation_patience_watches_the_objective():
    monitor = make_monitor(n_iter_no_change=1)
    assert feed(monitor, [3.0, 2.0, 1.95, 1.8, 1.75, 1.74]) == [None, None, None, None, None, Outcome.PROGRESS]
    assert monitor.best.number == 5


def test_a_rise_by_tol_is_enough():
    monitor = make_monitor(n_iter_no_change=0, tol=0.5)
    assert feed(monitor, [3.0, 2.5, 2.0, 1.5]) == [None] * 4
    assert feed(make_monitor(n_iter_no_change=0, tol=0.5), [3.0, 2.5, 2.25]) == [None, None, Outcome.PROGRESS]


def test_a_point_under_another_penalty_begins_the_count_anew():
    """Its objective is another function: without validation all that was seen before says nothing."""
    monitor = make_monitor(n_iter_no_change=1)
    assert feed(monitor, [3.0, 2.0, 1.99]) == [None] * 3
    again = [Iterate(2, np.array([9.0]), 9.0, np.array([0.5]), is_start=True)]
    again += [Iterate(number, np.array([value]), value, np.array([0.5])) for number, value in ((3, 8.0), (4, 7.0))]
    assert [monitor.watch(iterate) for iterate in again] == [None] * 3
    assert monitor.loss_curve == [2.0, 1.99, 8.0, 7.0]
    assert monitor.best is again[-1]


def test_a_point_under_another_penalty_is_still_the_best_validated_one():
    losses = {3.0: 0.9, 2.0: 0.5, 9.0: 0.5, 8.0: 0.7}
    monitor = make_monitor(validate=lambda parameters: losses[float(parameters[0])])
    feed(monitor, [3.0, 2.0])
    monitor.watch(Iterate(1, np.array([9.0]), 9.0, np.array([0.5]), is_start=True))
    monitor.watch(Iterate(2, np.array([8.0]), 8.0, np.array([0.5])))
    assert (monitor.best.number, monitor.best.value, monitor.best_score) == (1, 2.0, -0.5)
    assert monitor.validation_scores == [-0.5, -0.7]


def test_a_start_whose_validation_loss_is_not_finite_is_an_error():
    monitor = make_monitor(validate=lambda parameters: np.nan)
    with pytest.raises(NotFiniteError, match="validation loss"):
        feed(monitor, [4.0])


def test_a_validation_score_that_is_not_finite_is_never_the_best():
    losses = iter([1.0, np.nan, np.inf, 2.0])
    monitor = make_monitor(validate=lambda parameters: next(losses))
    feed(monitor, [4.0, 3.0, 2.0, 1.0])
    assert monitor.best.number == 0
    assert monitor.validation_scores == [-np.inf, -np.inf, -2.0]


def test_a_verbose_line_tells_loss_gradient_validation_and_seconds(capsys):
    feed(make_monitor(verbose=True), [2.0, 1.0])
    feed(make_monitor(verbose=True, validate=lambda parameters: 0.25), [2.0, 1.0])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("iterate    1  loss 1.000000  gradient 5.00e-01  ")
    assert lines[1].endswith(" s")
    assert "validation" not in lines[1]
    assert "validation -0.250000" in lines[3]

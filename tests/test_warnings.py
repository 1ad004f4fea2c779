"""Warnings point to the line that called, whatever stands between it and the warning."""

import inspect
import linecache
import sys
import types

import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._warnings import warn_caller


def this_line():
    return inspect.currentframe().f_back.f_lineno


def place_of(caught):
    (warning,) = caught
    return warning.filename, warning.lineno


@pytest.fixture
def data():
    return load_iris(return_X_y=True)


@pytest.mark.parametrize(
    "model",
    [
        DeepLogisticClassifier((3,), max_iter=1, random_state=0),
        DeepLogisticClassifier((3,), max_iter=1, alpha=1.0, early_stopping=False, random_state=0),
        DeepLogisticClassifierCV((3,), alphas=[1.0], cv=2, max_iter=1, random_state=0),
    ],
)
def test_a_fit_warns_of_the_line_that_called_it(model, data):
    expected = (__file__, this_line() + 2)
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        model.fit(*data)
    assert place_of(caught) == expected


def test_so_does_a_fit_in_a_function_of_the_user(data):
    def train():
        return DeepLogisticClassifier((3,), max_iter=1, random_state=0).fit(*data), this_line()

    with pytest.warns(ConvergenceWarning) as caught:
        _, line = train()
    assert place_of(caught) == (__file__, line)


def test_a_fit_in_a_pipeline_warns_of_the_pipelines_line(data):
    """The one that called this package: a filter by module finds it, as it does for scikit-learn's own estimators."""
    pipeline = make_pipeline(StandardScaler(), DeepLogisticClassifier((3,), max_iter=1, random_state=0))
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        pipeline.fit(*data)
    filename, lineno = place_of(caught)
    assert filename == sys.modules["sklearn.pipeline"].__file__
    assert ".fit(" in linecache.getline(filename, lineno)


def module_that_warns(name, call="warn_caller('careful', UserWarning)", **names):
    """Return a module of that name whose function `run` warns."""
    module = types.ModuleType(name)
    vars(module).update(names, warn_caller=warn_caller)
    exec(compile(f"def run():\n    {call}\n", f"<{name}>", "exec"), vars(module))
    return module


@pytest.mark.parametrize("name", ["skrelu", "skrelu._fit.search", "sklearn.callback", "sklearn.callback._mixin"])
def test_lines_of_this_package_and_of_the_decorator_are_passed_over(name):
    module = module_that_warns("skrelu._deeper", "inner.run()", inner=module_that_warns(name))
    expected = (__file__, this_line() + 2)
    with pytest.warns(UserWarning, match="careful") as caught:
        module.run()
    assert place_of(caught) == expected


@pytest.mark.parametrize("name", ["skrelux", "sklearn", "sklearn.callbacks", "user.skrelu"])
def test_lines_of_other_packages_are_not(name):
    inner = module_that_warns("skrelu._fit.search")
    module = module_that_warns(name, "inner.run()", inner=inner)
    with pytest.warns(UserWarning, match="careful") as caught:
        module.run()
    assert place_of(caught) == (f"<{name}>", 2)


def test_the_innermost_line_outside_counts():
    """A user's own function between two of this package, as a scorer or a callback is."""
    inner = module_that_warns("skrelu.inner")
    between = module_that_warns("user", "inner.run()", inner=inner)
    outer = module_that_warns("skrelu.outer", "between.run()", between=between)
    with pytest.warns(UserWarning, match="careful") as caught:
        outer.run()
    assert place_of(caught) == ("<user>", 2)

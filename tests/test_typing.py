"""A type checker reads the public signatures as a user's script relies on them."""

import textwrap

import pytest

RIGHT = """
    from typing import assert_type

    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse
    from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, loss_and_gradient
    from skrelu.inspection import LossCurveDisplay

    X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    model = DeepLogisticClassifier((20, 10), alpha=[0.1, 1.0, 1.0], class_weight={0: 2.0}, random_state=0)
    assert_type(model.fit(X, y, sample_weight=[1.0, 2.0, 1.0, 1.0]), DeepLogisticClassifier)
    DeepLogisticClassifier(5, alpha=1, early_stopping=True, n_curvature_terms=100, predictive="laplace")
    model.fit(sparse.csr_array(X), ["a", "b", "a", "b"], X_val=[[0.0, 1.0]], y_val=["a"])
    scores: NDArray[np.float64] = model.decision_function(X)
    scores, std = model.decision_function(X, return_std=True)
    probabilities: NDArray[np.float64] = model.predict_proba([[0.0, 1.0]])
    assert_type(model.n_iter_, int)
    assert_type(model.loss_curve_, list[float])
    shapes: list[tuple[int, ...]] = [coef.shape for coef in model.coefs_]
    by_folds = DeepLogisticClassifierCV((20,), alphas=[0.1, 1.0], cv=3, scoring="accuracy").fit(X, y)
    assert_type(by_folds, DeepLogisticClassifierCV)
    assert_type(by_folds.alpha_, float)
    loss, coef_grads, intercept_grads = loss_and_gradient(model.coefs_, model.intercepts_, X, y, alpha=1.0)
    assert_type(loss, float)
    assert_type(LossCurveDisplay.from_estimator(model), LossCurveDisplay)
"""

WRONG = [
    'DeepLogisticClassifier("100")',
    'DeepLogisticClassifier(alpha="evidences")',
    'DeepLogisticClassifier(alpha_grouping="row")',
    'DeepLogisticClassifier(predictive="mean")',
    'DeepLogisticClassifier(early_stopping="yes")',
    'DeepLogisticClassifier(n_curvature_terms="all")',
    "DeepLogisticClassifier(random_state='0')",
    "DeepLogisticClassifier(hidden=(3,))",
    "DeepLogisticClassifier().fit([[0.0]])",
    "DeepLogisticClassifier().fit([[0.0]], [0], X_validation=[[0.0]])",
    "DeepLogisticClassifierCV(scoring=3)",
    "loss_and_gradient([], [], [[0.0]], [0], alpha='1')",
]


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Return a function from a script to the lines in which mypy finds errors."""
    api = pytest.importorskip("mypy.api")
    folder = tmp_path_factory.mktemp("user")

    def check(text):
        script = folder / "script.py"
        script.write_text(textwrap.dedent(text))
        options = ["--strict", "--config-file=", "--ignore-missing-imports", f"--cache-dir={folder / 'cache'}"]
        out, err, _ = api.run([str(script), *options])
        assert not err, err
        return out, {int(line.split(":")[1]) for line in out.splitlines() if ": error: " in line}

    return check


def test_a_script_of_a_user_has_the_types_that_it_expects(check):
    out, lines = check(RIGHT)
    assert not lines, out


def test_wrong_arguments_and_attributes_are_found(check):
    head = "from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, loss_and_gradient\n"
    out, lines = check(head + "\n".join(WRONG))
    assert lines == set(range(2, len(WRONG) + 2)), out

"""LossCurveDisplay: the numbers it draws are those of the fit, and it follows scikit-learn's conventions."""

import sys

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu.inspection import LossCurveDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(scope="module")
def data():
    X, y = load_breast_cancer(return_X_y=True)
    return train_test_split(scale(X), y, random_state=0)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def overfitted(data, **parameters):
    X, X_val, y, y_val = data
    return DeepLogisticClassifier((20,), alpha=0.01, random_state=0, **parameters).fit(X, y, X_val=X_val, y_val=y_val)


def test_the_kept_iterate_is_the_one_of_the_fitted_weights(data):
    _, X_val, _, y_val = data
    model = overfitted(data)
    display = LossCurveDisplay.from_estimator(model)
    training, validation = display.lines_
    assert_array_equal(training.get_xdata(), np.arange(1, model.n_iter_ + 1))
    assert_array_equal(training.get_ydata(), model.loss_curve_)
    assert_array_equal(validation.get_ydata(), -np.array(model.validation_scores_))
    (number,), (loss,) = display.kept_.get_data()
    assert number < model.n_iter_
    assert loss == validation.get_ydata()[number - 1] == validation.get_ydata().min()
    assert loss == pytest.approx(log_loss(y_val, model.predict_proba(X_val)), rel=1e-9)
    assert display.kept_.get_label() == f"iterate {number} kept"


def test_without_validation_the_last_iterate_is_marked_on_the_training_curve(data):
    model = DeepLogisticClassifier((5,), alpha=1.0, early_stopping=False, random_state=0).fit(data[0], data[2])
    display = LossCurveDisplay.from_estimator(model)
    assert len(display.lines_) == 1
    assert display.kept_.get_xydata().tolist() == [[model.n_iter_, model.loss_]]
    assert display.alpha_iter is None


def test_a_starting_point_that_no_iterate_beats_is_marked_at_zero(data):
    X, X_val, y, y_val = data
    start = DeepLogisticClassifier((5,), alpha=0.01, warm_start=True, random_state=0)
    start.fit(X, y, X_val=X_val, y_val=y_val)
    loss = -start.best_validation_score_
    # From the best weights for these validation rows, with all labels of the training rows turned round.
    start.set_params(n_iter_no_change=3).fit(X, 1 - y, X_val=X_val, y_val=y_val)
    display = LossCurveDisplay.from_estimator(start)
    assert display.kept_.get_xydata().tolist() == [[0, pytest.approx(loss)]]
    assert display.kept_.get_label() == "starting point kept"


def test_a_starting_point_as_good_as_the_iterates_is_marked_at_zero():
    X = np.linspace(1, 2, 100)[:, None] * np.repeat([-1, 1], 50)[:, None]
    y = np.repeat([0, 1], 50)
    far = {"X_val": 1e4 * X, "y_val": y}  # where the model is certain: a log-loss of 0
    model = DeepLogisticClassifier((3,), alpha=0.1, warm_start=True, random_state=0).fit(X, y, **far)
    weights = model.coefs_[0].copy()
    model.set_params(alpha=1e-4).fit(X, y, **far)
    assert_array_equal(model.coefs_[0], weights)
    assert model.n_iter_ > 0
    assert max(model.validation_scores_) == model.best_validation_score_ == 0
    assert LossCurveDisplay.from_estimator(model).kept_iter == 0


def test_losses_of_zero_are_drawn_on_a_linear_scale():
    X, y = np.repeat([-1e5, 1e5], 20)[:, None], np.repeat([0, 1], 20)
    model = DeepLogisticClassifier((), alpha=0.0, tol=0.0).fit(X, y)
    assert model.loss_ == max(model.loss_curve_) == 0
    display = LossCurveDisplay.from_estimator(model)
    display.figure_.canvas.draw()
    assert display.ax_.get_yscale() == "linear"


def test_rounds_of_the_evidence_are_marked(data):
    model = DeepLogisticClassifier((5,), random_state=0).fit(data[0], data[2])
    display = LossCurveDisplay.from_estimator(model)
    assert_array_equal(display.alpha_iter, model.evidence_curve_["n_iter"])
    marks = [line.get_xdata()[0] for line in display.ax_.lines if line.get_linestyle() == ":"]
    assert marks == display.alpha_iter.tolist()
    assert display.kept_.get_ydata().tolist() == [model.loss_]


class Iterates:
    """Keeps the weights of each iterate."""

    def __init__(self):
        self.coefs = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "fit":
            self.coefs.append(fitted_estimator.coefs_)


def test_a_weaker_penalty_that_was_tried_in_vain_is_not_marked_as_kept():
    X, y = load_wine(return_X_y=True)
    iterates = Iterates()
    model = DeepLogisticClassifier(()).set_callbacks(iterates).fit(scale(X), y)
    kept = LossCurveDisplay.from_estimator(model).kept_iter
    assert len(iterates.coefs) == model.n_iter_ > kept
    assert_array_equal(iterates.coefs[kept - 1][0], model.coefs_[0])


def test_the_legend_names_every_kind_of_line_once(data):
    X, X_val, y, y_val = data
    model = DeepLogisticClassifier((5,), random_state=0).fit(X, y, X_val=X_val, y_val=y_val)
    display = LossCurveDisplay.from_estimator(model)
    assert len(display.alpha_iter) > 1
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    kept = f"iterate {display.kept_iter} kept"
    assert labels == ["training (with penalty)", "validation", kept, "alpha chosen anew"]
    assert display.ax_.get_xlabel() == "iterate of L-BFGS"


def test_the_last_fit_of_a_cross_validation_is_drawn(data):
    model = DeepLogisticClassifierCV((5,), alphas=2, cv=2, random_state=0).fit(data[0], data[2])
    display = LossCurveDisplay.from_estimator(model)
    assert_array_equal(display.lines_[0].get_ydata(), model.loss_curve_)
    assert display.ax_.get_title() == "DeepLogisticClassifierCV"


def test_it_takes_axes_names_and_styles(data):
    model = make_pipeline(StandardScaler(), DeepLogisticClassifier((5,), alpha=1.0, random_state=0))
    model.fit(data[0], data[2])
    figure, axes = plt.subplots()
    display = LossCurveDisplay.from_estimator(
        model, ax=axes, name="mine", log_scale=False, line_kwargs={"linewidth": 5}, kept_kwargs={"color": "red"}
    )
    assert (display.ax_, display.figure_) == (axes, figure)
    assert (axes.get_title(), axes.get_yscale()) == ("mine", "linear")
    assert {line.get_linewidth() for line in display.lines_} == {5}
    assert display.kept_.get_color() == "red"
    again = display.plot(kept_kwargs={"c": "blue", "ms": 4})
    assert again is display
    assert (display.kept_.get_color(), display.kept_.get_markersize()) == ("blue", 4)
    assert display.figure_ is not figure
    assert display.ax_.get_yscale() == "log"


@pytest.mark.parametrize("estimator", [MLPClassifier(), make_pipeline(StandardScaler(), MLPClassifier())])
def test_other_estimators_are_refused(estimator):
    with pytest.raises(TypeError, match=r"estimator must be a DeepLogisticClassifier.* got MLPClassifier"):
        LossCurveDisplay.from_estimator(estimator)


def test_an_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(DeepLogisticClassifier())


def test_a_cross_validation_without_refit_has_no_curve(data):
    model = DeepLogisticClassifierCV((5,), alphas=2, cv=2, refit=False, random_state=0).fit(data[0], data[2])
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(model)


def test_without_matplotlib_the_error_names_the_extra(data, monkeypatch):
    model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0).fit(data[0], data[2])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skrelu\[plot\]"):
        LossCurveDisplay.from_estimator(model)

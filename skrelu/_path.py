"""Fits at one penalty after the other, each begun where the one before it ended, and what they score."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _check_method_params

from skrelu._classifier import DeepLogisticClassifier
from skrelu._folds import Fold
from skrelu._restarts import Run
from skrelu._solver import Outcome
from skrelu._training_data import scale_weights
from skrelu._typing import Array, Rows


@dataclass
class TaskOf:
    """A task of scikit-learn's callback protocol, in whose hooks `estimator` stands for the one that is fitted.

    Callbacks know the estimator that they are set on: ScoringMonitor looks its scorer up by it.
    """

    estimator: DeepLogisticClassifier
    task: Any

    def subcontext(self, **options: Any) -> "TaskOf":
        return TaskOf(self.estimator, self.task.subcontext(**options))

    def call_on_fit_task_begin(self, *, estimator: Any, **data: Any) -> None:
        self.task.call_on_fit_task_begin(estimator=self.estimator, **data)

    def call_on_fit_task_end(self, *, estimator: Any, **data: Any) -> bool:
        return bool(self.task.call_on_fit_task_end(estimator=self.estimator, **data))


class PathStep(DeepLogisticClassifier):
    """A fit on the path, which keeps to itself how it ended: the path passes it on."""

    run: Run
    context: TaskOf | None = None

    def _warn_of(self, run: Run, stacklevel: int = 0) -> None:
        self.run = run

    def _init_callback_context(self, **options: Any) -> Any:
        # In the place of a root of its own, the task that the callbacks of the whole search are to watch.
        return super()._init_callback_context(**options) if self.context is None else self.context


def climb(step: PathStep, alphas: Array, X: Rows, y: Array, sample_weight: Array | None) -> Iterator[PathStep]:
    """Fit at each alpha in turn, from the solution at the one before."""
    for alpha in alphas:
        step.set_params(alpha=float(alpha)).fit(X, y, sample_weight)
        if step.run.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        yield step


def score_path(
    step: PathStep,
    alphas: Array,
    X: Rows,
    y: Array,
    sample_weight: Array | None,
    fold: Fold,
    score: Callable[..., float],
    score_params: dict[str, Any],
) -> list[float]:
    """Return the score of each alpha in one fold."""
    train, test = fold
    # Weights pick the rows, and a row drawn several times counts as often: X is not copied.
    weights = np.bincount(train, minlength=X.shape[0]).astype(np.float64)
    if sample_weight is not None:
        weights *= sample_weight
    params = _check_method_params(X, score_params, indices=test)
    X_test, y_test = X[test], y[test]
    scores = []
    for model in climb(clone(step), alphas, X, y, weights):
        value = score(model, X_test, y_test, **params)
        try:
            scores.append(float(value))
        except (TypeError, ValueError) as error:
            raise TypeError(f"scoring must return a number, got {value!r}.") from error
        if np.isnan(scores[-1]):
            raise ValueError(f"scoring returned nan at alpha={model.alpha:.4g}, for {len(test)} test rows.")
    return scores


def minus_log_loss(model: DeepLogisticClassifier, X: Rows, y: Array, sample_weight: Array | None = None) -> float:
    """Return minus the weighted mean of the losses of the rows (nats), summed over the labels of multilabel targets."""
    labels = model._labels()
    scores = model._scores(X)[1].astype(np.float64)
    weights, _ = scale_weights(sample_weight)
    with np.errstate(all="ignore"):
        total = labels.loss.value_and_slopes(scores, labels.encode(y), weights)
    return -total / (len(scores) if weights is None else float(weights.sum()))

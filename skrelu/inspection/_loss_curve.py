"""The plot of the loss curve of a fit."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skrelu._core.arrays import Array
from skrelu._predictor import Predictor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LossCurveDisplay:
    """Plot of the training and validation loss at each iterate of L-BFGS, with the iterate that was kept.

    `from_estimator` makes the plot of a fitted model. As in scikit-learn's displays, the data are stored as attributes,
    and `plot` can be called again, with another `ax` or style.

    Parameters
    ----------
    training_loss : array-like of shape (n_iter,)
        The objective divided by the total weight (nats), penalty included, at iterates 1 to n_iter.
    validation_loss : array-like of shape (n_iter,) or None, default=None
        The log-loss (nats) of the validation rows, without penalty, at the same iterates; None if there were no such
        rows.
    kept_iter : int
        The number of the iterate that was kept; 0 is the starting point.
    kept_loss : float
        The validation loss at that iterate if there is one, else the training loss (nats).
    alpha_iter : array-like of int or None, default=None
        The iterates at which the evidence changed alpha. Training losses before and after such an iterate have
        different penalties.
    estimator_name : str or None, default=None
        The title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that contains them.
    lines_ : list of matplotlib Line2D
        The training curve, and the validation curve if there is one.
    kept_ : matplotlib Line2D
        The mark of the iterate that was kept.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores over the number of training rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import LossCurveDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = DeepLogisticClassifier(
    ...     (20,), alpha=0.1, early_stopping=True, random_state=0
    ... ).fit(scale(X), y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'loss (nats per row)'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        training_loss: ArrayLike,
        validation_loss: ArrayLike | None = None,
        kept_iter: int,
        kept_loss: float,
        alpha_iter: ArrayLike | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.training_loss = training_loss
        self.validation_loss = validation_loss
        self.kept_iter = kept_iter
        self.kept_loss = kept_loss
        self.alpha_iter = alpha_iter
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Predictor | Pipeline,
        *,
        name: str | None = None,
        ax: "Axes | None" = None,
        log_scale: bool = True,
        line_kwargs: dict[str, Any] | None = None,
        kept_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : DeepLogisticClassifier, DeepLogisticClassifierCV or Pipeline
            A fitted estimator; a pipeline must end in one of these classifiers. Of several starts the one that was kept
            is drawn, of a cross-validation the last fit.
        name : str or None, default=None
            The title of the plot; None means the name of the classifier.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        log_scale : bool, default=True
            Whether the axis of the loss is logarithmic. If no loss is positive, it is linear.
        line_kwargs, kept_kwargs : dict or None, default=None
            Passed to `matplotlib.axes.Axes.plot`: `line_kwargs` for both curves, `kept_kwargs` for the mark of the
            iterate kept.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If the estimator is of another class.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is missing.
        """
        classifier = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        if not isinstance(classifier, Predictor):
            raise TypeError(
                "estimator must be a DeepLogisticClassifier, a DeepLogisticClassifierCV or a pipeline that ends in one,"
                f" got {classifier!r}."
            )
        check_is_fitted(classifier, "loss_curve_")
        display = cls(**_curves(classifier), estimator_name=type(classifier).__name__ if name is None else name)
        return display.plot(ax, log_scale=log_scale, line_kwargs=line_kwargs, kept_kwargs=kept_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        log_scale: bool = True,
        line_kwargs: dict[str, Any] | None = None,
        kept_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        log_scale : bool, default=True
            Whether the axis of the loss is logarithmic. If no loss is positive, it is linear.
        line_kwargs, kept_kwargs : dict or None, default=None
            Passed to `matplotlib.axes.Axes.plot`: `line_kwargs` for both curves, `kept_kwargs` for the mark of the
            iterate kept.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        try:
            import matplotlib.pyplot as plt
            from matplotlib.cbook import normalize_kwargs
            from matplotlib.lines import Line2D
        except ImportError as error:
            raise ImportError('LossCurveDisplay needs matplotlib: pip install "skrelu[plot]".') from error

        if ax is None:
            _, ax = plt.subplots()
        style = {} if line_kwargs is None else line_kwargs
        curves = {"training (with penalty)": self.training_loss}
        if self.validation_loss is not None:
            curves["validation"] = self.validation_loss
        self.lines_ = []
        for label, losses in curves.items():
            losses = np.asarray(losses, dtype=np.float64)
            (line,) = ax.plot(np.arange(1, len(losses) + 1), losses, **{"label": label, **style})
            self.lines_.append(line)
        mark: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markersize": 9,
            "markerfacecolor": "none",
            "markeredgewidth": 2,
            "color": "black",
            "zorder": 3,
            "label": "starting point kept" if self.kept_iter == 0 else f"iterate {self.kept_iter} kept",
        }
        (self.kept_,) = ax.plot(
            [self.kept_iter], [self.kept_loss], **(mark | normalize_kwargs(kept_kwargs or {}, Line2D))
        )
        for number, where in enumerate([] if self.alpha_iter is None else np.asarray(self.alpha_iter).tolist()):
            label_once = "alpha chosen anew" if number == 0 else None
            ax.axvline(where, color="0.7", linewidth=1, linestyle=":", zorder=0, label=label_once)
        if log_scale and any(np.max(drawn.get_ydata(), initial=0) > 0 for drawn in (*self.lines_, self.kept_)):
            ax.set_yscale("log")
        ax.set(xlabel="iterate of L-BFGS", ylabel="loss (nats per row)", title=self.estimator_name or "")
        ax.legend()
        self.ax_ = ax
        self.figure_ = ax.figure
        return self


def _curves(classifier: Any) -> dict[str, Any]:
    """Return the data of a display from the fitted attributes."""
    training = np.array(classifier.loss_curve_)
    course = classifier.evidence_curve_
    curves: dict[str, Any] = {"training_loss": training, "alpha_iter": None if course is None else course["n_iter"]}
    if classifier.validation_scores_ is None:
        return curves | {"kept_iter": _last_equal(training, classifier.loss_), "kept_loss": classifier.loss_}
    scores, best = np.array(classifier.validation_scores_), classifier.best_validation_score_
    # The first of equal scores is kept. It may belong to the starting point, which is on no curve.
    kept = np.flatnonzero((scores == best) & (training == classifier.loss_))
    kept_iter = int(kept[0]) + 1 if len(kept) else 0
    return curves | {"validation_loss": -scores, "kept_iter": kept_iter, "kept_loss": -best}


def _last_equal(losses: Array, loss: float) -> int:
    """Return the last iterate with this loss; the last of all if no iterate has it, as after a change of alpha."""
    equal = np.flatnonzero(losses == loss)
    return int(equal[-1]) + 1 if len(equal) else len(losses)

"""The penalty chosen by cross-validation: in every fold a path of fits, each from the solution of the one before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import check_scoring
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from skrelu._caveats import warn_of_run
from skrelu._classifier import DeepLogisticClassifier, limits_of, standardizes
from skrelu._core.arrays import Array, MatrixLike
from skrelu._core.network import Network
from skrelu._data.labels import Labels
from skrelu._data.parameters import check_alphas, check_hidden_layer_sizes, check_parameters, make_random_state
from skrelu._data.private_sklearn import (
    _check_method_params,
    _raise_for_params,
    scorer_takes_weights,
    scorer_with_labels,
)
from skrelu._data.rows import WeightedRows, is_counted
from skrelu._data.splits import Fold, describe_lack, split_folds
from skrelu._data.table import Table
from skrelu._fit.attributes import describe_fit, describe_network
from skrelu._fit.callbacks import CallbackSupportMixin, FitTask, with_callbacks
from skrelu._fit.path import PathTable, fit_path
from skrelu._fitted import FittedNetwork
from skrelu._laplace.posterior import NoPosterior
from skrelu._predictor import Predictor, finite_scores
from skrelu._warnings import warn_caller


class DeepLogisticClassifierCV(CallbackSupportMixin, Predictor):
    r"""DeepLogisticClassifier with the penalty chosen by cross-validation.

    In every fold the network is fitted to the training rows at each of the `alphas`, from the weakest to the strongest.
    Each fit starts from the solution of the one before, and is scored on the test rows. Then the network is fitted to
    all rows along the same path, up to the alpha with the best mean score. The same data, parameters and `random_state`
    give the same model, bit for bit, for every `n_jobs`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        The number of units of each hidden layer; () is logistic regression.
    alphas : int or array-like of shape (n_alphas,), default=10
        The strengths of the L2 penalty to choose from, positive; 1/C in LogisticRegressionCV. An integer n, at least 2,
        stands for n values from 0.01 to 100, evenly spaced in their logarithm. If weights are not counts of rows (see
        `fit` of DeepLogisticClassifier), these values are multiplied by (sum s^2) / (sum s) of the weights s.
    cv : int, splitter, iterable or None, default=None
        The folds. None means 5, or as many as the smallest class has rows if it has fewer than 5 (for multilabel
        targets, as there are rows). None and integers stand for StratifiedKFold, for multilabel targets for KFold,
        without shuffling. Iterables yield the row numbers (train, test) of each fold.
    scoring : str, callable or None, default=None
        The score to maximise. None means minus the log-loss (nats) over the test rows of a fold: the mean weighted by
        `sample_weight` and by the class weights of the fit; for multilabel targets the losses of a row's labels are
        added. Other values are as in GridSearchCV, without the class weights. As in LogisticRegressionCV, a metric that
        takes `labels` is given all classes, so that it is defined for test rows that lack one, and of two classes the
        second is its `pos_label`. A score that is not defined, such as 'roc_auc' for test rows of one class or for a
        multilabel column with one of 0 and 1 only, is an error that names the fold. The method `score` returns the
        accuracy, whatever is given here.
    refit : bool, default=True
        Whether to fit all rows at the alpha chosen. If not, only `classes_`, `n_features_in_`, `feature_names_in_`,
        `alphas_`, `alpha_`, `scores_` and `best_score_` are set, and the estimator cannot predict.
    standardize : bool or 'auto', default='auto'
        Whether each fit has standardised columns, as in DeepLogisticClassifier: by the means and deviations of its own
        training rows. 'auto' standardises if `alphas` is an integer. Alphas that you give mean the same as 1/C in
        LogisticRegressionCV, in the units of X.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes in every fit, as in DeepLogisticClassifier; 'balanced' counts the rows of that fit.
    max_iter : int, default=1000
        Maximum number of iterations of L-BFGS at each alpha.
    max_fun : int, default=15000
        Maximum number of evaluations of the objective at each alpha.
    tol : float, default=1e-05
        The tolerance of each fit, as in DeepLogisticClassifier.
    n_iter_no_change : int or numpy.inf, default=20
        The number of iterates without progress that each fit allows, as in DeepLogisticClassifier.
    n_jobs : int or None, default=None
        The number of folds that joblib fits at a time; None means one, unless in a `joblib.parallel_config`. Each fit,
        the last one too, uses as many threads as BLAS may use; joblib limits these in its workers. For `predict` and
        the other methods of prediction `n_jobs` is the number of threads, as in DeepLogisticClassifier.
    random_state : int, RandomState instance or None, default=None
        Determines the weights at which every path starts: the same weights in each fold and on all rows.
    verbose : int, default=0
        If positive, a line is printed for each alpha when all folds are scored, and for each iterate of the last fit.

    Attributes
    ----------
    alphas_ : ndarray of shape (n_alphas,)
        The penalties that were tried, in ascending order.
    alpha_ : float
        The alpha with the best mean score; the strongest if there are several.
    scores_ : ndarray of shape (n_folds, n_alphas)
        The score of each fold at each alpha.
    best_score_ : float
        The mean score over the folds at `alpha_`.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; the column numbers for multilabel targets.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features, if X had names that are all strings.
    coefs_, intercepts_, n_layers_, n_outputs_, out_activation_ : object
        The network fitted to all rows at `alpha_`, as in DeepLogisticClassifier.
    coef_, intercept_ : ndarray
        The weights and biases of a network without a hidden layer, as in LogisticRegressionCV.
    feature_mean_, feature_scale_ : ndarray of shape (`n_features_in_`,) or None
        The means and deviations of the columns over all rows, if the last fit standardised them, else None.
    loss_, loss_curve_, best_loss_, n_iter_, optimize_result_ : object
        The record of the fit at `alpha_` to all rows, as in DeepLogisticClassifier.
    validation_scores_, best_validation_score_ : None
        No rows are held out in that fit.
    feature_relevance_, n_effective_parameters_, log_evidence_, evidence_curve_, laplace_scale_ : None
        The evidence is not used here, see DeepLogisticClassifier.

    See Also
    --------
    DeepLogisticClassifier : The network with a given penalty.
    sklearn.linear_model.LogisticRegressionCV : Other penalties and solvers for the model without a hidden layer.
    sklearn.model_selection.GridSearchCV : Search over any parameters; every fit has a start of its own.

    Notes
    -----
    The path leads from weak to strong penalties. A strong penalty may draw the weights of a layer to zero. Then the
    gradients of the other layers are zero, too, and no weaker penalty would bring the weights back.

    The penalty is added to the sum of the losses, also in the folds, which have fewer rows than the refit.

    A fold selects its training rows by weights of zero and one, so it copies only the test rows of X. Rows of weight
    zero are not scored; the default and integer `cv` do not count them.

    scikit-learn's callbacks (`set_callbacks`) watch the last fit: the task of `fit` has one subtask, 'refit', which has
    one subtask for each iterate.

    References
    ----------
    T. Hastie, R. Tibshirani and J. Friedman, 'The Elements of Statistical Learning', 2nd edition, Springer, 2009,
    section 7.10.

    J. Friedman, T. Hastie and R. Tibshirani, 'Regularization paths for generalized linear models via coordinate
    descent', Journal of Statistical Software 33(1), 2010, for paths of warm starts.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from skrelu import DeepLogisticClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = DeepLogisticClassifierCV(
    ...     (10,), alphas=[0.3, 3, 30], cv=3, random_state=0
    ... ).fit(scale(X), y)
    >>> model.alpha_
    3.0
    >>> model.scores_.shape
    (3, 3)
    >>> model.best_score_ > -0.1
    True
    """

    __module__ = "skrelu"  # the path in saved models and in users' imports

    alpha_: float
    alphas_: Array
    best_loss_: float
    best_score_: float
    loss_: float
    loss_curve_: list[float]
    n_iter_: int
    optimize_result_: OptimizeResult
    scores_: Array

    # The methods of prediction read these. The curvature is not measured here, so there are no variances.
    predictive = "map"
    _posterior = NoPosterior.NOT_MEASURED

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        *,
        alphas: int | ArrayLike = 10,
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        refit: bool = True,
        standardize: bool | Literal["auto"] = "auto",
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None = None,
        max_iter: int = 1000,
        max_fun: int = 15000,
        tol: float = 1e-5,
        n_iter_no_change: float = 20,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.alphas = alphas
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.standardize = standardize
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: MatrixLike, y: MatrixLike, sample_weight: ArrayLike | None = None, **params: Any) -> Self:
        """Score every alpha in every fold and fit all rows at the best one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units, as in DeepLogisticClassifier.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Labels of any kind, or an indicator of 0 and 1 with a column per label (multilabel).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, finite and not negative. The fits and the default score use them, and other scorers if they take
            `sample_weight` (with metadata routing: if they request it).
        **params : dict
            Further metadata for the splitter and the scorer, if scikit-learn's metadata routing is enabled.

        Returns
        -------
        self : DeepLogisticClassifierCV

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not valid, or a fold has no training row of one of the classes or no test
            row, all before any work is done; or if a score is not a number. After this or any other error, and after
            Ctrl-C before the last fit, the estimator is as it was before.

        Warns
        -----
        ConvergenceWarning
            If the last fit ended before a minimum was found. The other fits give no warning.
        UserWarning
            If the last fit was interrupted (Ctrl-C); the best iterate is kept. Also if there are weights and `scoring`
            takes none.
        """
        model = self._check_parameters()
        alphas = check_alphas(self.alphas)
        scorer = self._scorer()
        _raise_for_params(params, self, "fit")
        with _blank(self):
            self._fit_paths(model, X, y, sample_weight, alphas=alphas, scorer=scorer, params=params)
        return self

    def _fit_paths(
        self,
        model: DeepLogisticClassifier,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        alphas: Array,
        scorer: Any,
        params: dict[str, Any],
    ) -> None:
        table = Table.of(self, X, y, sample_weight)
        if np.ndim(self.alphas) == 0:  # a number of alphas, not alphas of the caller
            alphas = alphas * table.weight_of_a_row
        split_params, score_params = self._route(scorer, table.sample_weight, params)
        if scorer is not None and not table.labels.is_multilabel:
            scorer = scorer_with_labels(scorer, table.labels.classes)
        counted = is_counted(table.sample_weight)
        folds = split_folds(self.cv, table.X, table.y, table.labels, is_counted=counted, split_params=split_params)
        layer_sizes = (table.X.shape[1], *check_hidden_layer_sizes(self.hidden_layer_sizes), table.labels.n_outputs)
        training_sets = [train for train, _ in folds]
        is_alpha_chosen = np.ndim(self.alphas) == 0
        paths = PathTable.of(
            table,
            Network(layer_sizes),
            training_sets,
            standardizes=standardizes(self, is_alpha_chosen=is_alpha_chosen),
        )
        whole = paths.problem()

        describe = partial(describe_network, whole)
        task = FitTask.of_fit(self, table.X, table.y, table.sample_weight, describe, max_subtasks=int(self.refit))
        score = delayed(_score_path)
        scores = np.array(
            Parallel(n_jobs=self.n_jobs)(
                score(model, alphas, paths, number, fold, scorer=scorer, score_params=score_params)
                for number, fold in enumerate(folds)
            )
        )
        means = np.sort(scores, axis=0).mean(axis=0)  # sorted, so that the same scores in other folds are a tie
        chosen = int(np.flatnonzero(means == means.max())[-1])
        if self.verbose:
            for alpha, mean, spread in zip(alphas, means, scores.std(axis=0), strict=True):
                print(f"alpha {alpha:<10.4g}  score {mean:.6f} +- {spread:.6f}", flush=True)
        self.classes_ = table.labels.classes
        self.alphas_, self.alpha_ = alphas, float(alphas[chosen])
        self.scores_, self.best_score_ = scores, float(means[chosen])
        if not self.refit:
            task.end(_fitted(self))
            return
        refit = task.subtask("refit", max_subtasks=self.max_iter)
        refit.begin()
        limits = limits_of(model, whole.network, has_validation=False)
        path = fit_path(
            whole,
            alphas[: chosen + 1],
            cast(int, model.random_state),
            limits,
            last_task=refit,
            verbose=bool(self.verbose),
        )
        *_, run = path
        fitted = describe_fit(whole, run)
        refit.end(fitted)
        self.__dict__.update(_public(fitted) | _fitted(self))
        task.end(_fitted(self))
        # Last, as the caller may turn the warning into an error.
        warn_of_run(run, self, whole)

    def _check_parameters(self) -> DeepLogisticClassifier:
        """Check the parameters of DeepLogisticClassifier, and `refit`; return the estimator of each fit."""
        check_hidden_layer_sizes(self.hidden_layer_sizes)
        shared = set(self.get_params(deep=False)) - {"alphas", "cv", "scoring", "refit"}
        options = {name: getattr(self, name) for name in shared}
        model = DeepLogisticClassifier(**options, alpha=1.0, early_stopping=False)
        check_parameters(model)
        if not isinstance(self.refit, bool | np.bool_):
            raise TypeError(f"refit must be True or False, got {self.refit!r}.")
        # An integer is kept, so that a path of one alpha gives the same fit as DeepLogisticClassifier. Otherwise one
        # integer is drawn here, and all folds use it.
        if not isinstance(self.random_state, Integral):
            model.random_state = make_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return model.set_params(n_jobs=None, verbose=0)

    def _scorer(self) -> Any:
        """Return the scorer, None for the default one."""
        if self.scoring is None:
            return None
        if not isinstance(self.scoring, str) and not callable(self.scoring):
            raise TypeError(f"scoring must be None, the name of one scorer, or callable, got {self.scoring!r}.")
        try:
            return check_scoring(self, self.scoring)
        except ValueError as error:
            raise ValueError(f"scoring is not valid: {error}") from error

    def _route(
        self, scorer: Any, weights: Array | None, params: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the metadata for the splitter and those for the scorer; the default score needs none."""
        by_weight = {} if weights is None or scorer is None else {"sample_weight": weights}
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=weights, **params)
            return dict(routed.splitter.split), {} if scorer is None else dict(routed.scorer.score)
        if by_weight and not scorer_takes_weights(scorer):
            warn_caller(
                f"scoring={self.scoring!r} takes no sample_weight, so the scores of the folds are not weighted.",
                UserWarning,
            )
            return {}, {}
        return {}, by_weight

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata of `fit` that the splitter and the scorer get.

        See scikit-learn's user guide on metadata routing.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=self._scorer(), method_mapping=MethodMapping().add(caller="fit", callee="score"))
        )

    def _network(self) -> FittedNetwork:
        if hasattr(self, "alpha_") and not hasattr(self, "coefs_"):
            raise NotFittedError(
                f"This {type(self).__name__} was fitted with refit=False, so it only holds the scores of each alpha "
                "and cannot predict. Set refit=True and call fit again."
            )
        return super()._network()


def _score_path(
    model: DeepLogisticClassifier,
    alphas: Array,
    paths: PathTable,
    number: int,
    fold: Fold,
    *,
    scorer: Any,
    score_params: dict[str, Any],
) -> list[float]:
    """Return the score of each alpha in the fold of this number."""
    (train, test), table = fold, paths.table
    params = _check_method_params(table.X, score_params, indices=test)
    test_rows, y_test = table.test_rows(fold), table.y[test]
    scores = []
    problem, limits = paths.problem(train), limits_of(model, paths.network, has_validation=False)
    for alpha, run in zip(alphas, fit_path(problem, alphas, cast(int, model.random_state), limits), strict=True):
        model = clone(model).set_params(alpha=float(alpha))
        model.__dict__.update(describe_fit(problem, run), n_features_in_=table.X.shape[1])
        if scorer is None:
            value = _minus_log_loss(model, test_rows, table.labels)
        else:
            value = scorer(model, test_rows.X, y_test, **params)
        try:
            scores.append(float(value))
        except (TypeError, ValueError) as error:
            raise TypeError(f"scoring must return a number, got {value!r}.") from error
        if np.isnan(scores[-1]):
            lack = describe_lack(table.labels, test_rows.targets)
            raise ValueError(
                f"scoring returned nan at alpha={alpha:.4g} in fold {number} of cv, for {len(test)} test rows{lack}. "
                "Choose a score that is defined there, such as scoring=None, or divide the rows otherwise."
            )
    return scores


def _minus_log_loss(model: DeepLogisticClassifier, rows: WeightedRows, labels: Labels) -> float:
    """Return minus the weighted mean of the rows' losses (nats); with multilabel targets a row's losses are added."""
    scores = finite_scores(model.coefs_, model.intercepts_, rows.X, model.n_jobs).astype(np.float64)
    weights = rows.sample_weight
    with np.errstate(all="ignore"):
        total = labels.loss.value_and_slopes(scores, rows.targets, weights)
    return -total / (len(scores) if weights is None else float(weights.sum()))


def _public(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name.endswith("_") and not name.startswith("_")}


def _fitted(estimator: Predictor) -> dict[str, Any]:
    return _public(estimator.__dict__)


@contextmanager
def _blank(estimator: Predictor) -> Iterator[None]:
    """Remove the fitted attributes of an estimator, and restore them if the block of the `with` raises."""
    before = _fitted(estimator)
    try:
        _forget(estimator)
        yield
    except BaseException:
        _forget(estimator)
        estimator.__dict__.update(before)
        raise


def _forget(estimator: Predictor) -> None:
    for name in _fitted(estimator):
        delattr(estimator, name)

"""The estimator: it checks parameters and data, writes the fitted attributes, and gives every warning."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skrelu._caveats import warn_of_run, warn_of_weights
from skrelu._core.arrays import Array, MatrixLike, Parameters
from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team, count_threads
from skrelu._data.labels import Labels
from skrelu._data.moments import measure_columns
from skrelu._data.order import in_canonical_order
from skrelu._data.parameters import check_alpha, check_hidden_layer_sizes, check_parameters, make_random_state
from skrelu._data.splits import hold_out, hold_out_problem
from skrelu._data.table import Table
from skrelu._fit.attributes import describe_fit, describe_network
from skrelu._fit.callbacks import CallbackSupportMixin, FitTask, with_callbacks
from skrelu._fit.descent import Limits
from skrelu._fit.problem import LocalProblem, Problem
from skrelu._fit.rounds import EvidenceRounds
from skrelu._fit.search import Search
from skrelu._fit.strategy import FixedAlpha, Strategy
from skrelu._fitted import FittedNetwork
from skrelu._laplace.evidence import Evidence
from skrelu._predictor import Predictor
from skrelu._warnings import warn_caller

# With fewer rows than this, early_stopping="auto" would hold out fewer than 20 by default: docs/decisions/0003 has the
# measurements.
_MIN_ROWS_FOR_EARLY_STOPPING = 200


class DeepLogisticClassifier(CallbackSupportMixin, Predictor):
    r"""Logistic regression with a ReLU network in place of the linear score, fitted by L-BFGS to all rows at once.

    For two classes, y in {-1, +1}, the model is :math:`\Pr(Y = y \mid x) = \sigma(y f(x))`. The score f is a ReLU
    network of any depth; without a hidden layer this is logistic regression. With more classes the network has one
    score for each class, and the loss is multinomial. With multilabel targets it has one score and one binary loss for
    each label. The objective is

    .. math:: \sum_i s_i \ell(f(x_i), y_i) + \frac{\alpha}{2} \sum_l \|W_l\|_F^2,

    a sum over the rows. The weight s_i is the sample weight of the row times the weight of its class. Biases are not
    penalised. The gradient is computed from all rows by its equations, so there is no learning rate and no batch size.
    The same data, parameters and `random_state` give the same model, bit for bit, on one machine, for every `n_jobs`.
    The columns of X may have any units: see `standardize`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        The number of units of each hidden layer; () is logistic regression.
    alpha : float, sequence of float or 'evidence', default='evidence'
        Strength of the L2 penalty, as in MLPClassifier; 1/C in LogisticRegression. The penalty is added to the SUM of
        the losses, so its effect fades as rows are added. A sequence has one alpha for each layer. With 'evidence' the
        training data choose alpha while the network is fitted (MacKay 1992, see Notes). No value of alpha is preferred
        in advance, and no validation set is needed. The evidence counts rows: see `sample_weight` in `fit`.
    alpha_grouping : {'shared', 'layer', 'feature'}, default='feature'
        Which weights share an alpha, if the evidence chooses it. 'shared': all weights. 'layer': the weights of a
        layer. 'feature': the weights of an input feature; all later layers have the alpha of all weights together. One
        alpha for each feature finds the features that matter; this pays if there are many and some are useless.
        'shared' is a little better on small clean tables. Not used if alpha is fixed.
    n_curvature_terms : int or 'auto', default='auto'
        The maximum number of terms of the curvature in the computation. Memory grows with its square, time with its
        cube. There is one term for each row and output. 'auto' takes all terms if there are at most 700. Otherwise it
        draws 350 of them, and twice as many while they are too few.
    standardize : bool or 'auto', default='auto'
        Whether the fit has standardised columns, of mean 0 and deviation 1 over the training rows, weighted by
        `sample_weight`. X is not copied for it, and sparse X stays sparse. `coefs_` and `intercepts_` are in the units
        of X all the same, so nothing has to be done for predictions; alpha refers to the weights for standardised
        columns. 'auto' standardises where the evidence chooses alpha. It does not for an alpha that you give, which
        then means the same as 1/C in LogisticRegression. A constant column gets the weight 0.
    predictive : {'map', 'laplace'}, default='map'
        The scores that probabilities are computed from. 'map': the scores at the fitted weights. 'laplace': these
        scores moderated, which moves a score towards 0, the more the less certain it is. Far from the training data,
        where probabilities with 'map' tend to 0 or 1, those with 'laplace' tend to 1/K for K classes, and to 1/2 for
        each label of multilabel targets. Near the data the training rows choose how much caution pays, see
        `laplace_scale_`. `predict_proba` takes longer. `docs/uncertainty.md` has the formulas and the measurements.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, {label: weight > 0}; labels left out weigh 1. A dict may name classes that y lacks if it
        has a weight for every class of y. 'balanced' gives every class the same total weight. For multilabel targets, a
        list with a dict for each column, with the keys 0 and 1, as in scikit-learn's trees: the weight of a row is the
        product over the columns. 'balanced' then balances each column by itself. Validation rows have these weights,
        too. If the evidence chooses alpha, only their ratios matter.
    max_iter : int, default=1000
        Maximum number of iterations of L-BFGS from one start. Those in which the evidence chooses alpha are included.
    max_fun : int, default=15000
        Maximum number of evaluations of the objective from one start; the iteration under way is completed.
    tol : float, default=1e-05
        The fit has converged when no component of the gradient of the objective, divided by the total weight, is larger
        than this. With hidden layers a minimum may lie on a kink of the ReLU, where the gradient does not vanish. Then
        the fit has converged when the objective no longer falls by `tol`, see `n_iter_no_change`.
    early_stopping : bool or 'auto', default='auto'
        Whether to hold rows out and compute their validation score, minus the log-loss, at each iterate. The fit keeps
        the BEST iterate, and stops when the score no longer rises, see `n_iter_no_change`. 'auto' stops early if `fit`
        is given `X_val`. It also does so if alpha is fixed, there are hidden layers and at least 200 rows, and at least
        as many rows would be held out as there are classes.
    validation_fraction : float, default=0.1
        The part of the rows that is held out, in the proportions of the classes.
    n_iter_no_change : int or numpy.inf, default=20
        The fit stops after more than this number of iterates in a row without progress. With validation, progress is a
        rise of the validation score by `tol`. With hidden layers and no validation, it is a fall of the objective
        (divided by the total weight) by `tol`. Without hidden layers and validation, the parameter is not used.
    n_init : int, default=1
        The number of random starts. The start with the best validation score is kept; without validation the one with
        the highest evidence or, for a fixed alpha, with the lowest objective. Without a hidden layer one start is
        enough, and no more are made.
    warm_start : bool, default=False
        Whether the first start is the solution of the previous call to `fit`, with the alphas chosen there.
    n_jobs : int or None, default=None
        The number of threads. None means as many as BLAS may use, so `threadpool_limits`, `OMP_NUM_THREADS` and the
        limits that joblib sets for its workers are obeyed; -1 means all processors.
    random_state : int, RandomState instance or None, default=None
        Determines the starting weights, the rows that are held out and the terms of the curvature that are drawn.
    verbose : int, default=0
        If positive, a line is printed for each iterate: objective, largest component of its gradient, validation score
        and seconds since the iterations from this start began.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; the column numbers for multilabel targets.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features, if X had names that are all strings.
    coefs_ : list of ndarray of shape (n_l, m_l)
        The weights of each layer, as in MLPClassifier: z_l = relu(z_{l-1} @ coefs_[l - 1] + intercepts_[l - 1]).
        In the units of X. float32 if X was, unless a column's mean is more than 256 deviations from 0.
    intercepts_ : list of ndarray of shape (m_l,)
        The biases of each layer.
    coef_ : ndarray of shape (1 or `n_outputs_`, `n_features_in_`)
        `coefs_[0].T`, as in LogisticRegression; only for a network without a hidden layer.
    intercept_ : ndarray of shape (1 or `n_outputs_`,)
        `intercepts_[0]`; only for a network without a hidden layer.
    feature_mean_, feature_scale_ : ndarray of shape (`n_features_in_`,) or None
        The means and deviations of the columns, if the fit standardised them (1 for a constant column), else None.
    n_layers_ : int
        The number of layers, input and output included: the number of hidden layers plus two.
    n_outputs_ : int
        1 for two classes, else the number of classes or labels.
    out_activation_ : {'logistic', 'softmax'}
        The function that turns scores into probabilities.
    loss_ : float
        The objective at the weights kept, divided by the total weight (nats).
    loss_curve_ : list of float of length `n_iter_`
        The objective after each iteration, divided by the total weight (nats). While the evidence chooses alpha, it
        rises when alpha does.
    best_loss_ : float or None
        The lowest value of the loss curve; None with early stopping, which keeps the weights of the best validation
        score. It need not be the loss of the weights kept, as values under different alphas are not comparable.
    validation_scores_ : list of float of length `n_iter_` or None
        Minus the log-loss (nats) of the validation rows after each iteration; None without early stopping.
    best_validation_score_ : float or None
        The validation score of the weights kept; None without early stopping. If no iterate was better, these are the
        starting weights.
    n_iter_ : int
        The number of iterations made from the start that was kept.
    alpha_ : float or ndarray of shape (`n_layers_` - 1,) or (`n_features_in_` + 1,)
        The strength of the penalty: one alpha for all weights; one for each layer; or one for the weights of each
        feature and, last, one for all later layers. If the fit standardised the columns, it is that of the weights for
        standardised columns, `coefs_[0] * feature_scale_[:, np.newaxis]`.
    feature_relevance_ : ndarray of shape (`n_features_in_`,) or None
        gamma / alpha of each feature, divided by the sum over the features; None unless each feature has its own
        alpha. gamma is the number of the feature's weights that the data determine, and gamma / alpha about the sum of
        their squares, for standardised columns if the fit standardised them. The smaller it is, the less the model
        needs the feature. It is 0 for a column of zeros, and for all features if nothing is determined.
    feature_importances_ : ndarray of shape (`n_features_in_`,)
        `feature_relevance_` under the name that RFE, SelectFromModel and other tools look for. Where that is None,
        there is no such attribute.
    n_effective_parameters_ : float or None
        The number of weights that the data determine, MacKay's gamma; None for a fixed alpha, unless
        predictive='laplace', and where the curvature could not be measured.
    log_evidence_ : float or None
        The logarithm (nats) of the probability of the labels given alpha, in Laplace's approximation; None in the
        same cases. Of two models of the same data the one with the higher evidence is the more
        probable.
    laplace_scale_ : float or None
        The factor, from 1e-8 to 1, that Laplace's variances have where predictive='laplace' moderates scores near the
        training data; None in the same cases. It is the largest one whose leave-one-out loss is nearly the lowest. Far
        from the data the factor grows with the distance, whatever its value here. With more than 100 outputs, or if
        the leave-one-out loss is not finite, it is 1 everywhere.
    evidence_curve_ : dict of ndarray or None
        The rounds in which alpha was chosen; None for a fixed alpha. 'n_iter' is the iteration at which each round
        ended, 'alpha' the alpha used during the round, 'n_effective_parameters' and 'log_evidence' were measured at
        its end.
    optimize_result_ : scipy.optimize.OptimizeResult
        `fun`, `nit`, `nfev`, `success`, `status` (0 converged, 1 a limit, 2 trouble, 99 stopped) and `message`.

    See Also
    --------
    loss_and_gradient : The objective and its gradient as a function.
    sklearn.neural_network.MLPClassifier : Other activations; stochastic solvers.
    sklearn.linear_model.LogisticRegression : Other penalties and solvers for the model without a hidden layer.

    Notes
    -----
    The fit supports scikit-learn's callbacks (`set_callbacks`), with one task per iterate.

    A saved model (pickle, joblib, cloudpickle, skops) holds the parameters and the fitted attributes. It holds no
    callbacks, and the arrays that `return_std` needs only if predictive='laplace'. It is marked with the number of its
    format, and a file that this version cannot read is refused. skops needs to trust types of skrelu only.

    A table of up to 2048 rows and 2**20 values is put in an order that depends on the contents of its rows alone. If no
    rows are held out, equal rows are merged into one row of their total weight. So neither the order of the rows nor
    integer weights in place of repeated rows change a bit of the model.

    With alpha='evidence' the fit alternates between some iterations of L-BFGS (10, then 1.4 times as many each time)
    and a measurement of the Gauss-Newton curvature A = G + diag(alpha), where G is the curvature of the losses. This
    gives gamma, the number of weights that the data determine, and alpha becomes gamma / ||W||^2, for all weights or
    for each group of them, until weights and alpha rest together at a minimum. The computation needs a matrix of at
    most `n_curvature_terms` rows and columns, whatever the number of parameters. Then fits with half the alphas (while
    the penalty outweighs the loss) or with twice the alphas are judged by a cost: the loss of all rows, each left out
    (estimated from the same matrix), minus the log evidence. A fit is kept if its cost is 3% lower.
    `docs/theory/evidence.md` derives the method, `docs/decisions/0007-evidence.md` has the measurements.

    A fit whose alpha cannot be trusted warns: if less than one weight is determined, if `max_iter` ends it before alpha
    is chosen or at rest, or if the terms drawn are too few for the weights that the rows determine.

    The defaults were chosen by `benchmarks/defaults.py`, which fits every classifier with its default parameters to
    25 real data sets (150 to 20000 rows, 2 to 15 classes, nominal columns one-hot, standardised, 30% test, 3 splits)::

                                   log-loss  log-loss  accuracy calibration  fit time  fits that
                                  geo. mean      mean      mean       error     total     warned
        DeepLogisticClassifier       0.1424    0.3643    0.8484      0.0467     18.4s       0.0%
          predictive='laplace'       0.1430    0.3618    0.8484      0.0473     19.8s       0.0%
          alpha_grouping='shared'    0.1453    0.3674    0.8481      0.0462     19.0s       0.0%
          alpha_grouping='layer'     0.1447    0.3709    0.8486      0.0479     28.5s       4.0%
          alpha=3 (stopping early)   0.1840    0.3893    0.8451      0.0550      2.1s       0.0%
        MLPClassifier                0.1923    0.4114    0.8435      0.0658     61.5s      80.0%
        LogisticRegression           0.2474    0.4431    0.8251      0.0647      2.4s       2.7%
        LightGBM                     0.1602    0.4243    0.8430      0.0659     13.9s       0.0%

    `docs/decisions/0003-defaults.md` has the alternatives to each default.

    References
    ----------
    D. C. Liu and J. Nocedal, 'On the limited memory BFGS method for large scale optimization', Mathematical
    Programming 45, 1989.

    D. J. C. MacKay, 'The Evidence Framework Applied to Classification Networks',
    Neural Computation 4, 1992.

    R. M. Neal, 'Bayesian Learning for Neural Networks', Springer, 1996,
    for one alpha per feature.

    L. Prechelt, 'Early stopping - but when?', in 'Neural Networks: Tricks of the Trade',
    Springer, 1998.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from skrelu import DeepLogisticClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> model = DeepLogisticClassifier(random_state=0).fit(X, y)
    >>> model.predict(X_test[:5])
    array([0, 1, 1, 1, 1])
    >>> model.score(X_test, y_test) > 0.95
    True
    """

    __module__ = "skrelu"  # the path in saved models and in users' imports

    alpha_: float | Array
    best_loss_: float | None
    best_validation_score_: float | None
    evidence_curve_: dict[str, Array] | None
    feature_mean_: Array | None
    feature_relevance_: Array | None
    feature_scale_: Array | None
    laplace_scale_: float | None
    log_evidence_: float | None
    loss_: float
    loss_curve_: list[float]
    n_effective_parameters_: float | None
    n_iter_: int
    optimize_result_: OptimizeResult
    validation_scores_: list[float] | None

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        *,
        alpha: float | Sequence[float] | Array | Literal["evidence"] = "evidence",
        alpha_grouping: Literal["shared", "layer", "feature"] = "feature",
        n_curvature_terms: int | Literal["auto"] = "auto",
        predictive: Literal["map", "laplace"] = "map",
        standardize: bool | Literal["auto"] = "auto",
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None = None,
        max_iter: int = 1000,
        max_fun: int = 15000,
        tol: float = 1e-5,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 20,
        n_init: int = 1,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.alpha = alpha
        self.alpha_grouping = alpha_grouping
        self.n_curvature_terms = n_curvature_terms
        self.predictive = predictive
        self.standardize = standardize
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_init = n_init
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(
        self,
        X: MatrixLike,
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to all rows at once.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any units. float32 is computed in float32. float64 and float32 arrays, memory maps
            and CSR matrices are not copied; but early stopping copies the rows of a sparse X.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Labels of any kind, or an indicator of 0 and 1 with a column per label (multilabel).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, finite and not negative. A row of weight zero is left out, also when classes are counted. An
            integer weight has the same effect as that many equal rows, unless early stopping holds some of these out.
            If the evidence chooses alpha, only the ratios of other weights matter, and so do those of class weights.
            Together the training rows count as Kish's effective number of rows, (sum s)^2 / sum s^2: as all of them if
            the weights s are equal, and as fewer the more these differ.
        X_val, y_val : array-like, default=None
            Validation data for early stopping, in place of rows held out from X and y.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation data.

        Returns
        -------
        self : DeepLogisticClassifier

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not valid, before any work is done; or if scores overflow at a starting
            point, or the weights found overflow in the dtype of X. After this or any other error the estimator is as it
            was before.

        Warns
        -----
        ConvergenceWarning
            If the fit ended before a minimum was found; the message has advice.
        UserWarning
            If the fit was interrupted (Ctrl-C); the best iterate is kept. Also if alpha='evidence' and the weights
            differ so much that the rows count as fewer than two for each class.
        """
        with self._checked() as hidden_layer_sizes:
            self._fit_locally(hidden_layer_sizes, X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @contextmanager
    def _checked(self) -> Iterator[tuple[int, ...]]:
        """Check the parameters and yield the sizes of the hidden layers; after an error nothing fitted is lost."""
        hidden_layer_sizes = check_hidden_layer_sizes(self.hidden_layer_sizes)
        check_parameters(self)
        check_alpha(self, n_layers=len(hidden_layer_sizes) + 1)
        with _kept_on_error(self), np.errstate(all="ignore"):
            yield hidden_layer_sizes

    def _fit_locally(
        self,
        hidden_layer_sizes: tuple[int, ...],
        X: MatrixLike,
        y: MatrixLike,
        sample_weight: Any,
        validation_data: Any,
    ) -> None:
        before = self._fitted_before()
        table = Table.of(self, X, y, sample_weight, reset=not self._knows_columns(before))
        validation = None
        if self._takes_validation(*validation_data):
            validation = table.validation_rows(self, *validation_data)
        labels, training = table.labels, table.weighed()
        network = Network((table.X.shape[1], *hidden_layer_sizes, labels.n_outputs))
        previous = None if before is None else self._previous_parameters(network, labels, before)
        random_state = make_random_state(self.random_state)
        holds_out = validation is None and self._holds_out(network, training.n_rows, labels)
        if holds_out:
            training = in_canonical_order(training, merge=False)
            problem_of_size = hold_out_problem(training.n_rows, labels, self.validation_fraction)
            training, validation = hold_out(training, labels, self.validation_fraction, random_state)
            if problem_of_size is not None:
                warn_caller(problem_of_size, UserWarning)
        if isinstance(self.alpha, str):
            training = table.counted_as_rows(training)
            warn_of_weights(training.total_weight, training.n_rows, labels)
        if not holds_out:
            training = in_canonical_order(training, merge=True)
        standardization = None
        if standardizes(self, is_alpha_chosen=isinstance(self.alpha, str)):
            class_weights = table.relative_class_weights(training)
            standardization = measure_columns(training, class_weights, count_threads(self.n_jobs))
        problem = LocalProblem(network, labels, standardization, training, validation)
        self._solve(problem, previous, random_state, (table.X, table.y, table.sample_weight))

    def _solve(
        self,
        problem: Problem,
        previous: Parameters | None,
        random_state: np.random.RandomState,
        data: tuple[Any, Any, Any],
    ) -> None:
        """Fit a problem and write the fitted attributes; callbacks are shown `data`: X, y and sample_weight."""
        network = problem.network
        strategy = self._strategy(problem, random_state, is_continued=previous is not None)
        limits = limits_of(self, network, has_validation=problem.has_validation)

        # Without a hidden layer the objective is convex: another start would end at the same point.
        n_init = self.n_init if network.has_hidden_layers else 1
        n_tasks = self.max_iter if n_init == 1 else n_init
        task = FitTask.of_fit(self, *data, partial(describe_network, problem), max_subtasks=n_tasks)
        with Team(count_threads(self.n_jobs)) as team:
            search = Search(problem, strategy, problem.datafits(team), limits, task, verbose=bool(self.verbose))
            run = search.run(problem.starts(n_init, previous, random_state), n_init)
        fitted = describe_fit(problem, run)
        task.end(fitted)
        # Before attributes are written, as the caller may turn the warning into an error.
        warn_of_run(run, self, problem)
        self.__dict__.update(fitted)

    @property
    def feature_importances_(self) -> Array:
        """The relevance of each feature, (`n_features_in_`,): their sum is 1, or all are 0."""
        check_is_fitted(self)
        relevance = getattr(self, "feature_relevance_", None)
        if relevance is None:
            raise AttributeError(
                "feature_importances_ needs a fit with an alpha for each feature: set alpha='evidence' and "
                "alpha_grouping='feature', and call fit."
            )
        return relevance

    def _strategy(self, problem: Problem, random_state: np.random.RandomState, *, is_continued: bool) -> Strategy:
        """Return the strategy that sets alpha."""
        network = problem.network
        n_terms = None if isinstance(self.n_curvature_terms, str) else int(self.n_curvature_terms)
        if not isinstance(self.alpha, str):
            penalty = Penalty.of(network, "layer" if np.ndim(self.alpha) else "shared", np.asarray(self.alpha))
            if self.predictive != "laplace":
                return FixedAlpha(penalty, None)
            return FixedAlpha(penalty, Evidence(n_terms, random_state.randint(2**31 - 1)))
        penalty = Penalty.of(network, self.alpha_grouping)
        alphas = self._previous_alphas(problem, penalty) if is_continued else None
        if alphas is not None:
            penalty = penalty.with_alphas(alphas)
        return EvidenceRounds(penalty, Evidence(n_terms, random_state.randint(2**31 - 1)))

    def _previous_alphas(self, problem: Problem, penalty: Penalty) -> Array | None:
        """Return the alphas of the previous fit, in the units of the columns in this one; None if they do not fit."""
        alphas = np.ravel(getattr(self, "alpha_", ())).astype(np.float64)
        was_by_feature = getattr(self, "feature_relevance_", None) is not None
        if len(alphas) != len(penalty.alphas) or was_by_feature != penalty.is_by_feature or not (alphas > 0).all():
            return None
        if penalty.is_by_feature:
            before = getattr(self, "feature_scale_", None)
            now = None if problem.standardization is None else problem.standardization.scale
            # The penalty of the weights of a feature, which have these units, stays the same.
            alphas[:-1] *= np.square((1.0 if before is None else before) / (1.0 if now is None else now))
        return alphas

    def _holds_out(self, network: Network, n_rows: int, labels: Labels) -> bool:
        """Return whether to hold rows out; "auto" does where measurements showed a gain and there are rows enough."""
        if self.early_stopping != "auto":
            return bool(self.early_stopping)
        return (
            not isinstance(self.alpha, str)
            and network.has_hidden_layers
            and n_rows >= _MIN_ROWS_FOR_EARLY_STOPPING
            and hold_out_problem(n_rows, labels, self.validation_fraction) is None
        )

    def _fitted_before(self) -> FittedNetwork | None:
        """Return the network from which this fit starts, None if it starts anew."""
        return self._network() if self.warm_start and hasattr(self, "coefs_") else None

    def _knows_columns(self, before: FittedNetwork | None) -> bool:
        """Return whether the columns must be those of the earlier fit.

        Weights that were set by hand may have another number of columns than an earlier fit, or there was no fit.
        """
        return before is not None and before.n_features == getattr(self, "n_features_in_", None)

    def _takes_validation(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> bool:
        """Return whether the caller gives validation data, after a check that they may be given."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return False
        if X_val is None or y_val is None:
            given = [name for name, value in (("X_val", X_val), ("y_val", y_val)) if value is not None]
            raise ValueError(f"X_val and y_val must be given together, got {given or 'sample_weight_val'} alone.")
        if not self.early_stopping:  # "auto" takes them
            raise ValueError("X_val and y_val are for early stopping: set early_stopping=True, or leave them out.")
        return True

    def _previous_parameters(self, network: Network, labels: Labels, before: FittedNetwork) -> Parameters:
        """Return the parameters of the previous fit as a start, after a check of their shapes and classes."""
        n_features, *sizes, _ = Network.of(before.coefs).layer_sizes
        if n_features != network.layer_sizes[0]:
            raise ValueError(
                f"X has {network.layer_sizes[0]} features, but {type(self).__name__} is expecting {n_features} "
                "features as input."
            )
        if tuple(sizes) != network.layer_sizes[1:-1]:
            raise ValueError(
                "warm_start can only be used where `hidden_layer_sizes` is the same as in the previous call to fit. "
                f"Previously got {tuple(sizes)}, now {network.layer_sizes[1:-1]}."
            )
        is_same_kind = before.labels.loss.out_activation == labels.loss.out_activation
        if not is_same_kind or not np.array_equal(before.labels.classes, labels.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {before.labels.classes}, `y` has {labels.classes}."
            )
        return network.join(before.coefs, before.intercepts).astype(np.float64)


def standardizes(estimator: Any, *, is_alpha_chosen: bool) -> bool:
    """Return whether a fit standardises the columns; "auto" does so unless the caller has given alpha."""
    return is_alpha_chosen if isinstance(estimator.standardize, str) else bool(estimator.standardize)


def limits_of(estimator: Any, network: Network, *, has_validation: bool) -> Limits:
    """Return the hyper-parameters that end a descent."""
    # Minima of a network may lie on kinks, where the gradient does not vanish. There a descent ends when the objective
    # no longer falls by tol. Without a hidden layer there are no kinks, and the size of the gradient is enough.
    is_smooth = not network.has_hidden_layers and not has_validation
    n_iter_no_change = np.inf if is_smooth else estimator.n_iter_no_change
    return Limits(estimator.max_iter, estimator.max_fun, estimator.tol, n_iter_no_change)


@contextmanager
def _kept_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the attributes that `validate_data` writes on an estimator, if the block of the `with` raises."""
    names = ("n_features_in_", "feature_names_in_")
    before = {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}
    try:
        yield
    except BaseException:
        for name in names:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise

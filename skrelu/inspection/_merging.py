"""Linear models of activation regions merged into a few: their distance, their groups, and one regression a group."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from skrelu._core.arrays import Array, Parameters, Rows
from skrelu._core.regions import find_patterns, group_patterns, linear_models
from skrelu._core.threads import count_threads
from skrelu._data.labels import Labels
from skrelu._data.moments import measure_columns
from skrelu._data.rows import WeightedRows
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import minimize
from skrelu._fitted import FittedNetwork

_MAX_DIRECTIONS = 256  # with more columns the distance of two models sees the directions in which rows vary most
_MAX_ROOT = 2**22  # of the values of these directions, which are saved with the model
_MAX_VALUES = 2**22  # of a block of rows, or of the coefficients of a block of models
_MAX_COORDINATES = 2**25  # of the models among which k-means finds the centers; more models are drawn at random
_N_STARTS = 10  # of k-means


def model_blocks(network: FittedNetwork, patterns: Array, n_jobs: int | None) -> Iterator[tuple[slice, Array, Array]]:
    """Yield the coefficients and intercepts of blocks of patterns, and their places.

    If only differences of scores have a meaning, the scores of all classes add up to 0.
    """
    n_block = max(_MAX_VALUES // (network.labels.n_outputs * network.n_features), 1)
    for where in gen_batches(len(patterns), n_block):
        coef, intercept = linear_models(network.coefs, network.intercepts, patterns[where], n_jobs)
        if network.is_relative:
            coef -= coef.mean(axis=1, keepdims=True)
            intercept -= intercept.mean(axis=1, keepdims=True)
        yield where, coef, intercept


@dataclass(frozen=True, eq=False)
class ModelSpace:
    """Linear models as points. The squared distance of two is the mean squared difference of their scores over rows.

    With the mean m and the covariance S of the rows, two models that differ by d in their coefficients and by e in
    their scores at m differ by d S d + e^2, for each output. So the point of a model is (coef S^(1/2), score at m).

    Attributes
    ----------
    center : ndarray of shape (n_features,)
        The mean m.
    factor : ndarray of shape (n_features,)
        One over the deviation of each column; 0 for a constant column.
    root : ndarray of shape (n_features, n_directions)
        S^(1/2). With more than 256 columns, that of the part of S in at most 256 directions.
    """

    center: Array
    factor: Array
    root: Array

    @classmethod
    def of(cls, Z: Rows, weights: Array, n_jobs: int | None, random_state: np.random.RandomState) -> "ModelSpace":
        """Measure rows; their directions, if there are too many, are found by a randomised power iteration."""
        with np.errstate(all="ignore"):  # a constant column of sparse rows may have a variance just below 0
            standardization = measure_columns(
                WeightedRows(Z, targets=weights, sample_weight=weights), None, count_threads(n_jobs)
            )
        center, factor = standardization.center, standardization.factor
        directions = np.eye(Z.shape[1])
        if Z.shape[1] > _MAX_DIRECTIONS:
            n_directions = max(min(_MAX_DIRECTIONS, _MAX_ROOT // Z.shape[1]), 1)
            directions = random_state.normal(size=(Z.shape[1], n_directions))
            for _ in range(2):
                directions = np.linalg.qr(_correlate(Z, weights, center, factor, directions))[0]
        inner = directions.T @ _correlate(Z, weights, center, factor, directions)
        values, vectors = np.linalg.eigh((inner + inner.T) / 2)
        root = directions @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        scale = np.divide(1, factor, out=np.zeros_like(factor), where=factor > 0)
        return cls(center, factor, scale[:, np.newaxis] * root)

    def points(self, coef: Array, intercept: Array) -> Array:
        """Return the points of models, of shape (n_models, n_outputs * (n_directions + 1))."""
        slopes = coef.reshape(-1, coef.shape[-1]) @ self.root
        values = coef @ self.center + intercept
        return np.concatenate((slopes.reshape(len(coef), -1), values), axis=1)


def _correlate(Z: Rows, weights: Array, center: Array, factor: Array, directions: Array) -> Array:
    """Return the correlation matrix of the columns times `directions`, computed from blocks of rows."""
    directions = factor[:, np.newaxis] * directions
    shift = center @ directions
    total = np.zeros_like(directions)
    for where in gen_batches(Z.shape[0], max(_MAX_VALUES // directions.shape[1], 1)):
        part = weights[where, np.newaxis] * (Z[where] @ directions - shift)
        total += Z[where].T @ part - np.outer(center, part.sum(axis=0))
    return factor[:, np.newaxis] * total / weights.sum()


def assign_rows(network: FittedNetwork, Z: Rows, space: ModelSpace, centers: Array, n_jobs: int | None) -> Array:
    """Return the number of the center that is nearest to the linear model of each row."""
    patterns = find_patterns(network.coefs, network.intercepts, Z, n_jobs)
    groups = group_patterns(patterns)
    return _assign_patterns(network, patterns[groups.first], space, centers, n_jobs)[groups.region]


def _assign_patterns(
    network: FittedNetwork, patterns: Array, space: ModelSpace, centers: Array, n_jobs: int | None
) -> Array:
    numbers = np.empty(len(patterns), dtype=np.intp)
    for where, coef, intercept in model_blocks(network, patterns, n_jobs):
        points = space.points(coef, intercept)
        numbers[where] = np.argmin([np.square(points - center).sum(axis=1) for center in centers], axis=0)
    return numbers


@dataclass(frozen=True, eq=False)
class Merged:
    """Activation regions of some rows merged into a few, the one with the largest weight first.

    Attributes
    ----------
    space : ModelSpace
    centers : ndarray of shape (n_merged, n_coordinates)
        The points of `space` from which the merged region of a linear model is found.
    coef : ndarray of shape (n_merged, n_outputs, n_features)
        The means of the coefficients of the rows' linear models.
    intercept : ndarray of shape (n_merged, n_outputs)
    region : ndarray of shape (n_rows,)
        The merged region of each row.
    """

    space: ModelSpace
    centers: Array
    coef: Array
    intercept: Array
    region: Array


def merge_regions(
    network: FittedNetwork,
    Z: Rows,
    weights: Array,
    n_regions: int,
    *,
    n_jobs: int | None,
    random_state: np.random.RandomState,
) -> Merged:
    """Merge the activation regions of rows of positive weight into at most `n_regions`."""
    patterns = find_patterns(network.coefs, network.intercepts, Z, n_jobs)
    groups = group_patterns(patterns)
    patterns = patterns[groups.first]
    # In the order of the patterns, so that the start of k-means does not depend on the order of the rows.
    order = np.lexsort(patterns.T) if patterns.shape[1] else np.zeros(1, dtype=np.intp)
    patterns, group_weights = patterns[order], np.bincount(groups.region, weights)[order]
    space = ModelSpace.of(Z, weights, n_jobs, random_state)
    centers = _find_centers(network, patterns, group_weights, space, n_regions, n_jobs, random_state)
    numbers = _assign_patterns(network, patterns, space, centers, n_jobs)
    totals = np.bincount(numbers, group_weights, len(centers))
    kept = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
    rank = np.zeros(len(centers), dtype=np.intp)
    rank[kept] = np.arange(len(kept))
    numbers = rank[numbers]
    coef, intercept = _mean_models(network, patterns, group_weights, numbers, n_jobs)
    by_group = np.empty_like(numbers)
    by_group[order] = numbers
    return Merged(space, centers[kept], coef, intercept, by_group[groups.region])


def _find_centers(
    network: FittedNetwork,
    patterns: Array,
    weights: Array,
    space: ModelSpace,
    n_centers: int,
    n_jobs: int | None,
    random_state: np.random.RandomState,
) -> Array:
    """Return at most `n_centers` centers of the models of patterns, by k-means with the weights of the patterns."""
    n_coordinates = network.labels.n_outputs * (space.root.shape[1] + 1)
    n_models = max(_MAX_COORDINATES // n_coordinates, n_centers)
    if len(patterns) > n_models:
        drawn = np.sort(random_state.choice(len(patterns), n_models, replace=False))
        patterns, weights = patterns[drawn], weights[drawn]
    points = np.concatenate([space.points(*models) for _, *models in model_blocks(network, patterns, n_jobs)])
    if len(points) <= n_centers:
        return points
    k_means = KMeans(n_centers, n_init=_N_STARTS, random_state=random_state)
    # In one thread, as the order in which threads add their sums changes the last bits.
    with threadpool_limits(1, user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different models than centers: some stay empty
        return k_means.fit(points, sample_weight=weights).cluster_centers_


def _mean_models(
    network: FittedNetwork, patterns: Array, weights: Array, group: Array, n_jobs: int | None
) -> tuple[Array, Array]:
    """Return the weighted means of the coefficients and intercepts of the models of each group."""
    shares = sparse.csc_array((weights, (group, np.arange(len(group)))))
    n_groups, n_outputs, n_features = shares.shape[0], network.labels.n_outputs, network.n_features
    coef, intercept = np.zeros((n_groups, n_outputs * n_features)), np.zeros((n_groups, n_outputs))
    for where, coefs, intercepts in model_blocks(network, patterns, n_jobs):
        coef += shares[:, where] @ coefs.reshape(len(coefs), -1)
        intercept += shares[:, where] @ intercepts
    totals = shares.sum(axis=1)[:, np.newaxis]
    return (coef / totals).reshape(n_groups, n_outputs, n_features), intercept / totals


def distil(
    Z: Rows,
    probabilities: Array,
    weights: Array,
    prior: tuple[Array, Array],
    space: ModelSpace,
    labels: Labels,
    *,
    alpha: float,
) -> tuple[Array, Array, Outcome]:
    """Fit one linear model to the probabilities of a network, with a penalty on the distance from a prior model.

    The objective is the sum of the weighted cross-entropies plus alpha / 2 times the squared distance between the
    coefficients and those of the prior model, all for columns of deviation 1. The intercept is free.

    Parameters
    ----------
    Z : {ndarray, CSR matrix} of shape (n_rows, n_features)
    probabilities : ndarray of shape (n_rows, n_classes)
    weights : ndarray of shape (n_rows,)
    prior : tuple of ndarray of shape (n_outputs, n_features) and of shape (n_outputs,)
        Coefficients and intercepts.
    space : ModelSpace
        Its `center` and `factor` standardise the columns.
    labels : Labels
    alpha : float

    Returns
    -------
    coef, intercept : ndarray
        Of the shapes of the prior ones.
    outcome : Outcome
        The reason why L-BFGS ended.
    """
    Z = Z.astype(np.float64, copy=False)
    total, center, factor = weights.sum(), space.center, space.factor
    n_outputs, n_features = prior[0].shape
    prior_scores = Z @ prior[0].T + prior[1]
    targets = probabilities[:, -n_outputs:]  # of two classes the second one

    def change(parameters: Parameters) -> tuple[Array, Array]:
        coef = parameters[n_outputs:].reshape(n_outputs, n_features) * factor
        return coef, parameters[:n_outputs] - coef @ center

    def objective(parameters: Parameters) -> tuple[float, Parameters]:
        coef, intercept = change(parameters)
        scores = prior_scores + (Z @ coef.T + intercept)
        losses = -(probabilities * labels.loss.log_probabilities(labels.per_class(scores))).sum(axis=1)
        slopes = weights[:, np.newaxis] * (labels.loss.probabilities(scores) - targets)
        by_intercept = slopes.sum(axis=0)
        by_coef = factor * ((Z.T @ slopes).T - np.outer(by_intercept, center))
        penalised = parameters[n_outputs:]
        value = weights @ losses + alpha / 2 * (penalised @ penalised)
        gradient = np.concatenate((by_intercept, by_coef.ravel() + alpha * penalised))
        return float(value / total), gradient / total

    solution = minimize(
        objective,
        np.zeros(n_outputs * (n_features + 1)),
        max_iter=10_000,
        max_fun=15_000,
        tol=1e-6,
        value_tol=64 * np.finfo(np.float64).eps,
        on_iterate=lambda iterate: None,
    )
    if solution.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    coef, intercept = change(solution.iterate.parameters)
    return prior[0] + coef, prior[1] + intercept, solution.outcome

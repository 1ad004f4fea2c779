"""The network that is explained: its weights and rows, and the columns in which the explanation is given."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skrelu._core.arrays import Array, Rows
from skrelu._data.validation import describe_values, validate_rows
from skrelu._fitted import FittedNetwork, read_network
from skrelu._predictor import Predictor
from skrelu.inspection._steps import Features, follow, is_passthrough

Columns = Literal["auto", "original", "transformed"]
TRANSFORMED = " (transformed)"  # what a picture adds to a name


@dataclass(frozen=True)
class Base:
    """Columns on which the scores depend through the network alone, and the network as a function of them.

    These are the columns of X that enter as affine functions, then the features that do not. The features z of the
    network are `base @ slopes + offsets`.

    Attributes
    ----------
    numbers : ndarray of shape (n_affine,)
        The columns of X that enter as affine functions; for a linear explanation all columns of X.
    others : ndarray of shape (n_others,)
        The features that depend on a column in another way.
    slopes : CSR matrix of shape (n_affine + n_others, n_features)
    offsets : ndarray of shape (n_features,)
    source : ndarray of shape (n_affine + n_others,)
        The column of the explanation that each one belongs to.
    """

    numbers: Array
    others: Array
    slopes: Any
    offsets: Array
    source: Array

    @classmethod
    def of(cls, features: Features, *, linear: bool) -> "Base":
        """Return the columns of X and the features that they become in another way."""
        n_columns, n_features = features.slopes.shape
        numbers = np.arange(n_columns) if linear else np.flatnonzero(np.diff(features.slopes.indptr))
        others = np.flatnonzero(~features.is_affine)
        own = sparse.csr_array((np.ones(len(others)), (np.arange(len(others)), others)), (len(others), n_features))
        slopes = sparse.vstack([features.slopes[numbers], own], format="csr")
        return cls(numbers, others, slopes, features.offsets, np.concatenate((numbers, features.source[others])))

    @property
    def is_used(self) -> Array:
        """Whether a feature depends on each of `numbers`."""
        return np.diff(self.slopes.indptr)[: len(self.numbers)] > 0

    def coef(self, coef: Array) -> Array:
        """Return coefficients by these columns from those by the features, along the last axis."""
        flat = self.slopes @ coef.reshape(-1, coef.shape[-1]).T
        return np.ascontiguousarray(flat.T).reshape(*coef.shape[:-1], -1)

    def intercept(self, coef: Array, intercept: Array) -> Array:
        """Return the intercepts that belong to `coef(coef)`."""
        return intercept + coef @ self.offsets


@dataclass(frozen=True)
class Explained:
    """A fitted classifier, alone or at the end of a pipeline, to be explained in chosen columns.

    Attributes
    ----------
    estimator : estimator
        As the user gave it; a pipeline at the end of a pipeline is unpacked.
    network : FittedNetwork
        Its weights in float64.
    names : ndarray of str
        The names of the columns in which the explanation is given.
    base : Base or None
        Columns of X as the network's inputs; None means that the explanation is in the features of the network.
    """

    estimator: Any
    network: FittedNetwork
    names: Array
    base: Base | None

    @classmethod
    def of(cls, estimator: Any, columns: Columns = "auto", *, linear: bool = False) -> "Explained":
        """Read a fitted classifier.

        With `linear`, 'auto' and 'original' mean the columns of X only if each has a coefficient.

        Raises
        ------
        TypeError, ValueError
            If the estimator is of another kind, or cannot be explained in such columns.
        """
        if columns not in get_args(Columns):
            raise ValueError(f"columns must be 'auto', 'original' or 'transformed', got {columns!r}.")
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        while isinstance(estimator, Pipeline) and isinstance(estimator[-1], Pipeline):
            estimator = Pipeline([*estimator.steps[:-1], *estimator[-1].steps])
        classifier = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        network = _read(classifier)
        if not isinstance(estimator, Pipeline) or len(estimator) == 1:
            return cls(estimator, network, _names_of(classifier, network.n_features), None)
        if columns != "transformed":
            features, obstacle = _follow_steps(estimator, network.n_features)
            if features.is_affine.all() or (not linear and features.is_known.all()):
                names = _names_of(_first_step(estimator), features.slopes.shape[0])
                return cls(estimator, network, names, Base.of(features, linear=linear))
            if columns == "original":
                raise ValueError(f"columns must be 'auto' or 'transformed' for this pipeline: {obstacle}.")
        return cls(estimator, network, _transformed_names(estimator, network.n_features), None)

    @property
    def classifier(self) -> Any:
        return self.estimator[-1] if isinstance(self.estimator, Pipeline) else self.estimator

    @property
    def is_linear(self) -> bool:
        """Whether the scores are a network of the columns of the explanation, so that each has a coefficient."""
        return self.base is None or not len(self.base.others)

    @property
    def columns(self) -> str:
        """The columns in which the explanation is given: 'original', those of X, or 'transformed'."""
        has_steps = isinstance(self.estimator, Pipeline) and len(self.estimator) > 1
        return "transformed" if has_steps and self.base is None else "original"

    @property
    def n_jobs(self) -> int | None:
        return getattr(self.classifier, "n_jobs", None)

    @property
    def n_outputs(self) -> int:
        return self.network.labels.n_outputs

    def rows(self, X: Any) -> Rows:
        """Return the validated rows of the network's features, in float64 or float32."""
        if self.base is not None and hasattr(X, "copy"):
            X = X.copy()  # `base_rows` needs X as it is, and a scaler with copy=False writes into it
        # Step by step: the pipeline of all steps but the last one is not fitted in the eyes of scikit-learn if it ends
        # in a transformer without fitted attributes.
        for _, step in self.estimator.steps[:-1] if isinstance(self.estimator, Pipeline) else []:
            if not is_passthrough(step):
                X = step.transform(X)
        classifier = self.classifier
        if isinstance(classifier, Predictor):
            classifier = classifier._with_columns_of(self.network)
        return validate_rows(classifier, X, reset=False)

    def base_rows(self, X: Any, Z: Rows) -> Rows:
        """Return the rows in the columns of the base; `Z` are those of the network's features."""
        if self.base is None:
            return Z
        parts = []
        if len(self.base.numbers):
            names = getattr(_first_step(self.estimator), "feature_names_in_", None)
            numbers = _take_columns(X, self.base, names)
            parts.append(numbers if sparse.issparse(numbers) else _fill_missing(numbers, self.base, Z))
        if len(self.base.others):
            parts.append(Z[:, self.base.others])
        if not any(sparse.issparse(part) for part in parts):
            return np.hstack(parts).astype(np.float64, copy=False)
        return sparse.hstack(parts, format="csr", dtype=np.float64)

    @cached_property
    def inputs(self) -> FittedNetwork:
        """The network as a function of the columns of the base."""
        if self.base is None:
            return self.network
        first, bias = self.network.coefs[0], self.network.intercepts[0]
        with np.errstate(all="ignore"):
            coefs = [self.base.slopes @ first, *self.network.coefs[1:]]
            intercepts = [bias + self.base.offsets @ first, *self.network.intercepts[1:]]
        return self.network._replace(coefs=coefs, intercepts=intercepts)

    @property
    def base_names(self) -> Array:
        """The names of the columns of the base, of columns of X and of features of the last step, for a picture."""
        if self.base is None:
            return self.drawn_names
        names = [self.names[self.base.numbers]]
        if len(self.base.others):
            features = _transformed_names(self.estimator, self.network.n_features)
            names.append(self._mark(features[self.base.others]))
        return np.concatenate(names)

    @property
    def drawn_names(self) -> Array:
        """The names of the columns of the explanation, for a picture."""
        return self.names if self.columns == "original" else self._mark(self.names)

    def _mark(self, names: Array) -> Array:
        """Return names of features; one with the name of a column of X says that it is transformed."""
        known = set(getattr(_first_step(self.estimator), "feature_names_in_", ()))
        return np.array([f"{name}{TRANSFORMED}" if name in known else name for name in names], dtype=object)

    @property
    def source(self) -> Array:
        """The number in `names` of each column of the base."""
        return np.arange(self.network.n_features) if self.base is None else self.base.source


def check_finite(results: Array, X: Rows) -> None:
    """Raise a ValueError if results for X have overflowed."""
    if not np.isfinite(results).all():
        raise ValueError(f"X holds {describe_values(X)}, for which the scores or their coefficients overflow.")


def _read(classifier: Any) -> FittedNetwork:
    """Return the weights of a classifier in float64."""
    if isinstance(classifier, MLPClassifier):
        check_is_fitted(classifier)
        if classifier.activation != "relu" and len(classifier.coefs_) > 1:
            raise ValueError(
                f"Only networks of rectified linear units are linear in parts: activation must be 'relu', got "
                f"{classifier.activation!r}."
            )
    elif not isinstance(classifier, Predictor):
        raise TypeError(
            "classifier must be a DeepLogisticClassifier, a DeepLogisticClassifierCV, an MLPClassifier with "
            f"activation='relu', or a pipeline that ends in one, got {_describe(classifier)}. Of a search, pass its "
            "best_estimator_."
        )
    network = classifier._network() if isinstance(classifier, Predictor) else read_network(classifier)
    network.check_finite()
    coefs, intercepts = (
        [array.astype(np.float64, copy=False) for array in arrays] for arrays in (network.coefs, network.intercepts)
    )
    return network._replace(coefs=coefs, intercepts=intercepts)


def _describe(classifier: Any) -> str:
    return f"the class {classifier.__name__}" if isinstance(classifier, type) else type(classifier).__name__


def _first_step(pipeline: Pipeline) -> Any:
    """Return the first step that changes something."""
    return next(step for _, step in pipeline.steps if not is_passthrough(step))


def _follow_steps(pipeline: Pipeline, n_features: int) -> tuple[Features, str]:
    """Return the features of the last step as functions of the columns of X, and why some are not affine functions."""
    n_columns = getattr(_first_step(pipeline), "n_features_in_", n_features)
    features = Features.identity(n_columns)
    not_affine = not_known = ""
    for name, step in pipeline.steps[:-1]:
        after = follow(step, features)
        step_name = f"the step {name!r} ({type(step).__name__})"
        if after is None:
            return Features.unknown(n_columns, n_features), f"{step_name} is of a kind that cannot be followed"
        features = after
        if not features.is_affine.all():
            not_affine = not_affine or f"after {step_name} some features are not linear in the columns of X"
        if not features.is_known.all():
            not_known = not_known or (
                f"after {step_name} some features depend on several columns of X in a way that is not linear, or come "
                "from a transformer of a kind that cannot be followed"
            )
    if len(features.offsets) != n_features:
        return Features.unknown(n_columns, n_features), "its steps have been fitted on other columns than its last step"
    return features, not_affine if features.is_known.all() else not_known


def _names_of(estimator: Any, n_columns: int) -> Array:
    """Return the names of the columns of X: x0, x1, ... if they have none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or len(names) != n_columns:
        names = [f"x{number}" for number in range(n_columns)]
    return np.asarray(names, dtype=object)


def _transformed_names(pipeline: Pipeline, n_features: int) -> Array:
    try:
        names = np.asarray(pipeline[:-1].get_feature_names_out(), dtype=object)
    except (AttributeError, ValueError):  # a step without names
        return _names_of(pipeline[-1], n_features)
    return names if names.shape == (n_features,) else _names_of(pipeline[-1], n_features)


def _take_columns(X: Any, base: Base, names: Array | None) -> Rows:
    """Return the columns of X that enter as numbers: of a frame those with their names in the fit, in any order.

    Columns that no feature depends on may hold anything; what is not a finite number becomes 0.
    """
    if sparse.issparse(X):
        return X.tocsr()[:, base.numbers].astype(np.float64)
    places: list[int | None] = base.numbers.tolist()
    if not hasattr(X, "columns"):
        X = np.asarray(X)
    elif names is not None:
        place_of = {name: place for place, name in enumerate(X.columns)}
        places = [place_of.get(name) for name in names[base.numbers]]
    table, is_used = getattr(X, "iloc", X), base.is_used
    rows = np.zeros((len(X), len(places)))
    for column, place in enumerate(places):
        if place is None:  # the steps do without it
            continue
        try:
            rows[:, column] = table[:, place]
        except (ValueError, TypeError):
            if is_used[column]:
                raise
    rows[:, ~is_used] = np.nan_to_num(rows[:, ~is_used], posinf=0, neginf=0)
    return rows


def _fill_missing(rows: Array, base: Base, Z: Rows) -> Array:
    """Return rows whose missing values are those that an imputer has put in their place, read from the features Z.

    Raises
    ------
    ValueError
        If they cannot be read, as after PCA, or if two imputers do not agree.
    """
    missing = np.isnan(rows)
    if not missing.any():
        return rows
    where = np.flatnonzero(missing.any(axis=1))
    Z = Z[where].toarray() if sparse.issparse(Z) else np.asarray(Z[where], dtype=np.float64)
    slopes = base.slopes[: len(base.numbers)].tocsc()
    for feature in np.flatnonzero(np.diff(slopes.indptr) == 1):
        entry = slopes.indptr[feature]
        column, slope = slopes.indices[entry], slopes.data[entry]
        values = (Z[:, feature] - base.offsets[feature]) / slope
        lacks = missing[where, column] & np.isnan(rows[where, column])
        rows[where[lacks], column] = values[lacks]
    affine = np.setdiff1d(np.arange(Z.shape[1]), base.others)
    expected = (rows[where] @ slopes + base.offsets)[:, affine]
    if not np.allclose(expected, Z[:, affine], rtol=1e-6, atol=1e-6):
        raise ValueError(
            "X holds NaN that the steps replace by values which cannot be told from their results. Give rows without "
            "NaN, or columns='transformed'."
        )
    return rows

"""The columns of a pipeline, followed step by step from its input to the features of its last step.

For each feature z_k of the last step this finds whether it is an affine function of the input's columns,
z_k = sum_j x_j a_jk + c_k, and which column it comes from if there is only one. Steps of unknown kind end both.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from inspect import getattr_static
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from skrelu._core.arrays import Array


@dataclass(frozen=True)
class Features:
    """Features as functions of the columns of the input.

    Attributes
    ----------
    slopes : CSR matrix of shape (n_columns, n_features)
        a_jk; zeros for a feature that is not affine.
    offsets : ndarray of shape (n_features,)
        c_k; 0 for a feature that is not affine.
    is_affine : ndarray of shape (n_features,)
    source : ndarray of shape (n_features,)
        The one column that the feature depends on; -1 if there are several, or if it is not known.
    """

    slopes: Any
    offsets: Array
    is_affine: Array
    source: Array

    @classmethod
    def identity(cls, n_columns: int) -> "Features":
        """Return the columns themselves."""
        return cls(
            sparse.eye_array(n_columns, format="csr"),
            np.zeros(n_columns),
            np.ones(n_columns, dtype=bool),
            np.arange(n_columns),
        )

    @classmethod
    def joined(cls, parts: Iterable["Features"], n_columns: int) -> "Features":
        """Return the features of all parts, one part after the other."""
        parts = [cls.unknown(n_columns, 0), *parts]
        return cls(
            sparse.hstack([part.slopes for part in parts], format="csr"),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("offsets", "is_affine", "source")),
        )

    @classmethod
    def unknown(cls, n_columns: int, n_features: int) -> "Features":
        """Return features of which nothing is known."""
        return cls(
            sparse.csr_array((n_columns, n_features)),
            np.zeros(n_features),
            np.zeros(n_features, dtype=bool),
            np.full(n_features, -1),
        )

    @property
    def is_known(self) -> Array:
        """Whether each feature is affine, or depends on one column."""
        return self.is_affine | (self.source >= 0)

    def selected(self, numbers: Array) -> "Features":
        return Features(self.slopes[:, numbers], self.offsets[numbers], self.is_affine[numbers], self.source[numbers])

    def mapped(self, matrix: Any, offsets: Array) -> "Features":
        """Return the features z @ matrix + offsets."""
        matrix = sparse.csc_array(matrix)
        # A feature with no input is constant. It is affine, and comes from no column.
        inputs = np.split(matrix.indices, matrix.indptr[1:-1])
        is_affine = np.array([self.is_affine[rows].all() for rows in inputs], dtype=bool)
        sources = [np.unique(self.source[rows]) for rows in inputs]
        source = np.array([found[0] if len(found) == 1 else -1 for found in sources], dtype=np.intp)
        keep = sparse.diags_array(is_affine.astype(np.float64))
        slopes = (self.slopes @ matrix @ keep).tocsr()
        return Features(slopes, np.where(is_affine, self.offsets @ matrix + offsets, 0.0), is_affine, source)

    def scaled(self, scale: Any, offsets: Any) -> "Features":
        """Return the features z * scale + offsets."""
        scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), len(self.offsets))
        slopes = (self.slopes @ sparse.diags_array(scale)).tocsr()
        return replace(self, slopes=slopes, offsets=np.where(self.is_affine, self.offsets * scale + offsets, 0.0))

    def encoded(self, counts: Any) -> "Features":
        """Return features of which `counts[j]` depend on feature j alone, in any way."""
        counts = np.broadcast_to(counts, len(self.source))
        features = Features.unknown(self.slopes.shape[0], int(counts.sum()))
        return Features(features.slopes, features.offsets, features.is_affine, np.repeat(self.source, counts))


def follow(step: Any, features: Features) -> Features | None:
    """Return the features after a fitted step, or None if the kind of the step is not known."""
    if is_passthrough(step):
        return features
    if getattr(step, "n_features_in_", len(features.offsets)) != len(features.offsets):
        return None  # fitted on other columns
    for kind, rule in _RULES:
        # A subclass with a method of its own may compute anything.
        if isinstance(step, kind) and getattr_static(step, "transform") is getattr_static(kind, "transform"):
            return rule(step, features)
    return None


def is_passthrough(step: Any) -> bool:
    return step is None or _is(step, "passthrough")


def _follow_pipeline(step: Any, features: Features) -> Features | None:
    for _, inner in step.steps:
        after = follow(inner, features)
        if after is None:
            return None
        features = after
    return features


def _follow_union(step: Any, features: Features) -> Features | None:
    parts = []
    for name, inner in step.transformer_list:
        if _is(inner, "drop"):
            continue
        after = follow(inner, features)
        if after is None:
            return None
        parts.append(_weighted(after, step, name))
    return Features.joined(parts, features.slopes.shape[0])


def _follow_columns(step: Any, features: Features) -> Features | None:
    """Follow a ColumnTransformer. Features of a transformer of unknown kind are unknown; the others are known."""
    n_columns = features.slopes.shape[0]
    n_features = max(where.stop for where in step.output_indices_.values())
    parts: list[tuple[int, Features]] = []
    for name, inner, columns in step.transformers_:
        where = step.output_indices_[name]
        if _is(inner, "drop") or where.start == where.stop:
            continue
        after = follow(inner, features.selected(_numbers_of(columns, step)))
        if after is None or len(after.offsets) != where.stop - where.start:
            after = Features.unknown(n_columns, where.stop - where.start)
        parts.append((where.start, _weighted(after, step, name)))
    joined = Features.joined((part for _, part in sorted(parts, key=lambda part: part[0])), n_columns)
    return joined if len(joined.offsets) == n_features else None


def _weighted(features: Features, step: Any, name: str) -> Features:
    """Return features times the weight that a union gives to the transformer of this name."""
    weight = (step.transformer_weights or {}).get(name)
    return features if weight is None else features.scaled(weight, 0.0)


def _is(step: Any, word: str) -> bool:
    return isinstance(step, str) and step == word


def _numbers_of(columns: Any, step: Any) -> Array:
    """Return the numbers of the columns that a ColumnTransformer gives to one of its transformers."""
    numbers = np.arange(step.n_features_in_)
    names = getattr(step, "feature_names_in_", None)
    if isinstance(columns, slice):
        bounds = [columns.start, columns.stop]
        if any(isinstance(bound, str) for bound in bounds):  # names, and the last one is included
            start, stop = (None if bound is None else int(np.flatnonzero(names == bound)[0]) for bound in bounds)
            columns = slice(start, None if stop is None else stop + 1, columns.step)
        return numbers[columns]
    columns = np.atleast_1d(np.asarray(columns))
    if columns.dtype.kind in "OU":
        return np.array([np.flatnonzero(names == name)[0] for name in columns], dtype=np.intp)
    return numbers[columns if columns.dtype.kind == "b" else columns.astype(np.intp)]


def _follow_standard(step: Any, features: Features) -> Features:
    scale = 1.0 if step.scale_ is None else 1 / step.scale_
    return features.scaled(scale, 0.0 if step.mean_ is None or not step.with_mean else -step.mean_ * scale)


def _follow_min_max(step: Any, features: Features) -> Features:
    return features.encoded(1) if step.clip else features.scaled(step.scale_, step.min_)


def _follow_max_abs(step: Any, features: Features) -> Features:
    return features.encoded(1) if getattr(step, "clip", False) else features.scaled(1 / step.scale_, 0.0)


def _follow_robust(step: Any, features: Features) -> Features:
    scale = 1.0 if step.scale_ is None else 1 / step.scale_
    return features.scaled(scale, 0.0 if step.center_ is None else -step.center_ * scale)


def _follow_selector(step: Any, features: Features) -> Features:
    return features.selected(step.get_support(indices=True))


def _follow_components(step: Any, features: Features) -> Features:
    matrix = step.components_.T
    if isinstance(step, PCA | IncrementalPCA) and step.whiten:
        deviations = np.sqrt(step.explained_variance_)
        matrix = matrix / np.maximum(deviations, np.finfo(deviations.dtype).eps)
    mean = getattr(step, "mean_", None)
    return features.mapped(matrix, np.zeros(matrix.shape[1]) if mean is None else -mean @ matrix)


def _follow_discriminants(step: Any, features: Features) -> Features:
    matrix = step.scalings_[:, : len(step.get_feature_names_out())]
    return features.mapped(matrix, -step.xbar_ @ matrix if step.solver == "svd" else np.zeros(matrix.shape[1]))


def _follow_function(step: Any, features: Features) -> Features | None:
    if step.func is None:
        return features
    is_columnwise = isinstance(step.func, np.ufunc) and step.func.nin == step.func.nout == 1 and not step.kw_args
    return features.encoded(1) if is_columnwise else None


def _follow_one_hot(step: Any, features: Features) -> Features | None:
    infrequent = getattr(step, "infrequent_categories_", [None] * len(step.categories_))
    counts = [
        len(names) - (0 if rare is None else len(rare) - 1)
        for names, rare in zip(step.categories_, infrequent, strict=True)
    ]
    if step.drop_idx_ is not None:
        counts = [count - (dropped is not None) for count, dropped in zip(counts, step.drop_idx_, strict=True)]
    return features.encoded(counts)


def _follow_bins(step: Any, features: Features) -> Features:
    return features.encoded(1 if step.encode == "ordinal" else step.n_bins_)


def _follow_splines(step: Any, features: Features) -> Features:
    return features.encoded(step.n_features_out_ // step.n_features_in_)


def _follow_targets(step: Any, features: Features) -> Features:
    return features.encoded(len(step.encodings_) // step.n_features_in_)


def _follow_imputer(step: Any, features: Features) -> Features | None:
    """Follow a SimpleImputer. Its values are those of the columns; a missing one is what stands in its place."""
    statistics = step.statistics_.tolist()
    is_number = step.missing_values != step.missing_values and all(isinstance(value, Real) for value in statistics)
    is_empty = np.array([value != value for value in statistics], dtype=bool)
    numbers = np.flatnonzero(~is_empty | step.keep_empty_features)
    values = features.selected(numbers)
    parts = [values if is_number and not is_empty[numbers].any() else values.encoded(1)]
    if step.indicator_ is not None:
        parts.append(_follow_indicator(step.indicator_, features))
    return Features.joined(parts, features.slopes.shape[0])


def _follow_indicator(step: Any, features: Features) -> Features:
    return features.selected(step.features_).encoded(1)


def _follow_each(step: Any, features: Features) -> Features:
    return features.encoded(1)


_RULES: list[tuple[type, Callable[[Any, Features], Features | None]]] = [
    (Pipeline, _follow_pipeline),
    (FeatureUnion, _follow_union),
    (ColumnTransformer, _follow_columns),
    (StandardScaler, _follow_standard),
    (MinMaxScaler, _follow_min_max),
    (MaxAbsScaler, _follow_max_abs),
    (RobustScaler, _follow_robust),
    (SelectorMixin, _follow_selector),
    (PCA, _follow_components),
    (IncrementalPCA, _follow_components),
    (TruncatedSVD, _follow_components),
    (FastICA, _follow_components),
    (NeighborhoodComponentsAnalysis, _follow_components),
    (GaussianRandomProjection, _follow_components),
    (SparseRandomProjection, _follow_components),
    (LinearDiscriminantAnalysis, _follow_discriminants),
    (FunctionTransformer, _follow_function),
    (OneHotEncoder, _follow_one_hot),
    (KBinsDiscretizer, _follow_bins),
    (SplineTransformer, _follow_splines),
    (TargetEncoder, _follow_targets),
    (SimpleImputer, _follow_imputer),
    (MissingIndicator, _follow_indicator),
    (OrdinalEncoder, _follow_each),
    (PowerTransformer, _follow_each),
    (QuantileTransformer, _follow_each),
    (Binarizer, _follow_each),
]

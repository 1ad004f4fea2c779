"""The columns of a table that may change, their bounds and their units; and the table with other values in them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from skrelu._core.arrays import Array
from skrelu._core.boundary import Space
from skrelu._warnings import warn_caller
from skrelu.inspection._explained import Explained

_MAX_LISTED = 20  # names in a message


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as the user gave them, and as the network gets them.

    Attributes
    ----------
    explained : Explained
        Of the last step alone if the explanation is in its features.
    given : table
        What `predict` takes: X, or the features of the last step if the explanation is in these.
    rows : ndarray of shape (n_samples, n_columns)
        In the columns of the base.
    """

    explained: Explained
    given: Any
    rows: Array

    @classmethod
    def of(cls, explained: Explained, X: Any) -> "Table":
        if explained.columns == "transformed":
            X = explained.estimator[:-1].transform(X)
            explained = replace(explained, estimator=explained.classifier)
        base_rows: Any = explained.base_rows(X, explained.rows(X))
        rows: Array = base_rows.toarray() if sparse.issparse(base_rows) else np.asarray(base_rows)
        return cls(explained, X, np.ascontiguousarray(rows, dtype=np.float64))

    def predict(self, table: Any) -> Array:
        return np.asarray(self.explained.estimator.predict(table))

    def rebuild(self, points: Array, numbers: Array | None = None) -> Any:
        """Return the given table, or some of its rows, with other values in the columns that are numbers."""
        base = self.explained.base
        columns = np.arange(points.shape[1]) if base is None else base.numbers
        values = points[:, : len(columns)]
        if hasattr(self.given, "columns") and not sparse.issparse(self.given):
            return _replace_in_frame(self.given, self._places(columns), values, numbers)
        given: Any = self.given.tocsr() if sparse.issparse(self.given) else np.asarray(self.given)
        if numbers is not None:
            given = given[numbers]
        if len(columns) == given.shape[1]:
            return values.copy()
        rebuilt: Array = given.toarray() if sparse.issparse(given) else np.array(given)
        if rebuilt.dtype.kind in "biuf":
            rebuilt = rebuilt.astype(np.float64)
        rebuilt[:, columns] = values
        return rebuilt

    def _places(self, columns: Array) -> Array:
        """Return where these columns are in the frame that was given: its order may be another one than in the fit."""
        place = {name: number for number, name in enumerate(self.given.columns)}
        return np.array([place.get(self.explained.names[column], column) for column in columns], dtype=np.intp)


def _replace_in_frame(frame: Any, places: Array, values: Array, numbers: Array | None) -> Any:
    if not hasattr(frame, "iloc"):
        rows = frame if numbers is None else frame[numbers]
        names = [frame.columns[place] for place in places]
        return rows.with_columns(**dict(zip(names, values.T, strict=True)))
    rows = frame.copy() if numbers is None else frame.iloc[numbers].copy()
    for place, column in zip(places.tolist(), values.T, strict=True):
        rows.isetitem(place, column)
    return rows


def read_space(explained: Explained, rows: Array, bounds: Any, fixed: Any, scale: str | ArrayLike) -> Space:
    """Return the bounds and the units of the columns of the base, from those of the user's columns."""
    names = explained.names
    low, high = _read_bounds(bounds, names)
    n_numbers = len(explained.source) if explained.base is None else len(explained.base.numbers)
    source = explained.source[:n_numbers]
    others = explained.source[n_numbers:]
    stays = _read_columns(fixed, names, "fixed")
    if np.isin(source, others).all():
        raise ValueError(
            "No column of X can change: none enters the network as a number alone, as every one passes an encoder or "
            "another step that is not linear. Explain the features of the last step, with columns='transformed'."
        )
    unit = _read_scale(explained, rows, scale)
    stays[others] = True  # a number that also enters in another way
    stays |= unit == 0
    is_number = np.zeros(len(names), dtype=bool)
    is_number[source] = True
    is_number[others] = False
    bounded = np.flatnonzero(~is_number & (np.isfinite(low) | np.isfinite(high)))
    if len(bounded):
        raise ValueError(
            f"bounds must be for columns that enter as numbers, got bounds for {names[bounded[0]]!r}, which an encoder "
            "or another step changes or drops."
        )
    none = np.full(len(others), np.inf)
    # A column that stays has no bounds, or a row outside would move.
    low, high = np.where(stays, -np.inf, low), np.where(stays, np.inf, high)
    return Space(
        np.concatenate((np.where(stays, 0.0, unit)[source], np.zeros(len(others)))),
        np.concatenate((low[source], -none)),
        np.concatenate((high[source], none)),
    )


def _read_scale(explained: Explained, rows: Array, scale: Any) -> Array:
    """Return the unit of each of the user's columns."""
    n_columns = len(explained.names)
    if isinstance(scale, str) and scale == "given":
        return np.ones(n_columns)
    if isinstance(scale, str) and scale == "standardized":
        return _standard_units(explained, rows)
    must = f"scale must be 'standardized', 'given' or {n_columns} positive numbers, one for each column"
    try:
        if hasattr(scale, "items"):  # a dictionary, or a series with the names of the columns
            places = [find_column(column, explained.names, "scale") for column, _ in scale.items()]
            units = np.full(n_columns, np.nan)
            units[places] = [unit for _, unit in scale.items()]
        else:
            units = np.asarray(scale, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{must}, got {scale!r}. {error}") from error
    if units.shape != (n_columns,) or not (np.isfinite(units) & (units > 0)).all():
        raise ValueError(f"{must}, got {scale!r}.")
    return units


def _standard_units(explained: Explained, rows: Array) -> Array:
    """Return the deviations of the columns, 0 for a constant one, which stays."""
    known = getattr(explained.classifier, "feature_scale_", None)
    base = explained.base
    if base is None and known is not None:
        return np.asarray(known, dtype=np.float64)
    if known is None and not _has_scaler(explained.estimator):
        return _deviations(explained, rows)
    if base is None:
        return np.ones(rows.shape[1])
    units = np.ones(len(explained.names))
    slopes = base.slopes[: len(base.numbers)]
    feature_units = np.ones(slopes.shape[1]) if known is None else np.asarray(known, dtype=np.float64)
    # A step of one column moves each feature by its slope; the length of that, in the features' units.
    lengths = np.sqrt(slopes.multiply(slopes) @ (1 / np.square(feature_units)))
    units[base.numbers] = np.divide(1, lengths, out=np.ones(len(lengths)), where=lengths > 0)
    return units


def _has_scaler(estimator: Any) -> bool:
    """Return whether a step of a pipeline, or of one within it, standardises columns."""
    if isinstance(estimator, Pipeline):
        return any(_has_scaler(step) for _, step in estimator.steps)
    if isinstance(estimator, ColumnTransformer):
        return any(_has_scaler(step) for _, step, _ in estimator.transformers_)
    return isinstance(estimator, StandardScaler | RobustScaler)


def _deviations(explained: Explained, rows: Array) -> Array:
    """Return the deviations of the columns in X."""
    n_numbers = rows.shape[1] if explained.base is None else len(explained.base.numbers)
    deviations = np.zeros(len(explained.names))
    deviations[explained.source[:n_numbers]] = rows[:, :n_numbers].std(axis=0)
    if not deviations.any():
        warn_caller(
            "The classifier does not know the standard deviations of the columns, and all rows of X are equal, so "
            "distances are in the columns' own units. Give scale, such as the deviations of the training rows, or "
            "'given'.",
            UserWarning,
        )
        return np.ones(len(explained.names))
    return deviations


def _read_columns(columns: Any, names: Array, name: str) -> Array:
    """Return a mask of the columns that are named by their names, their numbers or a mask."""
    mask = np.zeros(len(names), dtype=bool)
    if columns is None:
        return mask
    is_one = isinstance(columns, str) or (np.ndim(columns) == 0 and not isinstance(columns, set | frozenset))
    given = [columns] if is_one else list(columns)
    if given and all(isinstance(column, bool | np.bool_) for column in given):
        if len(given) != len(mask):
            raise ValueError(f"{name} must be a mask of {len(names)} columns, got {len(given)} values.")
        return np.array(given, dtype=bool)
    for column in given:
        mask[find_column(column, names, name)] = True
    return mask


def find_column(column: Any, names: Array, name: str) -> int:
    if isinstance(column, str):
        found = np.flatnonzero(names == column)
        if len(found):
            return int(found[0])
    elif isinstance(column, int | np.integer) and -len(names) <= column < len(names):
        return int(column) % len(names)
    raise ValueError(
        f"{name} must name columns by name or by number; there is no column {column!r} among the {len(names)}: "
        f"{list_names(names)}."
    )


def list_names(names: Array) -> str:
    """Return the first names of columns, for a message."""
    return ", ".join(repr(str(name)) for name in names[:_MAX_LISTED]) + (", ..." if len(names) > _MAX_LISTED else "")


def _read_bounds(bounds: Any, names: Array) -> tuple[Array, Array]:
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    if bounds is None:
        return low, high
    if isinstance(bounds, dict):
        pairs = {find_column(column, names, "bounds"): pair for column, pair in bounds.items()}
    else:
        if isinstance(bounds, str) or not hasattr(bounds, "__len__"):
            raise ValueError(f"bounds must be a dictionary or {len(names)} pairs (low, high), got {bounds!r}.")
        pairs = dict(enumerate(bounds))
        if len(pairs) != len(names):
            raise ValueError(
                f"bounds must be a dictionary or {len(names)} pairs (low, high), one for each column, got {len(pairs)}."
            )
    for column, pair in pairs.items():
        try:
            least, most = (None, None) if pair is None else pair
            low[column] = -np.inf if least is None else least
            high[column] = np.inf if most is None else most
        except (TypeError, ValueError) as error:
            raise ValueError(f"bounds must be pairs (low, high), got {pair!r} for {names[column]!r}.") from error
        if not low[column] <= high[column] or low[column] == np.inf or high[column] == -np.inf:
            raise ValueError(f"bounds must have low <= high, got {pair!r} for {names[column]!r}.")
    return low, high

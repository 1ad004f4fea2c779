"""The table of a fit: its rows are checked and their labels encoded once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from skrelu._core.arrays import Array, Rows
from skrelu._data.labels import Labels
from skrelu._data.rows import (
    WeightedRows,
    class_factors,
    count_effective_rows,
    count_rows,
    is_counted,
    row_factors,
    weigh_rows,
)
from skrelu._data.splits import Fold
from skrelu._data.validation import (
    check_class_weight,
    check_known_labels,
    check_sample_weight,
    validate_rows_and_labels,
)


@dataclass(frozen=True)
class Table:
    """Rows with their labels and weights.

    Attributes
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The caller's labels.
    labels : Labels
        The labels of the rows of positive weight.
    targets : ndarray
        y in the encoding of `labels`.
    sample_weight : ndarray of shape (n_samples,) or None
        The caller's weights.
    class_weight : dict, list of dict, 'balanced' or None
    """

    X: Rows
    y: Array
    labels: Labels
    targets: Array
    sample_weight: Array | None
    class_weight: Any

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, sample_weight: Any, *, reset: bool = True) -> Self:
        """Check the arguments of an estimator's `fit`, and its `class_weight`.

        Raises
        ------
        ValueError, TypeError
            If they are not valid.
        """
        X, y = validate_rows_and_labels(estimator, X, y, "y", reset=reset, n_needed=2)
        weights = check_sample_weight(sample_weight, X)
        labels = Labels.of(y, is_counted(weights))
        check_class_weight(estimator.class_weight, labels)
        return cls(X, y, labels, labels.encode(y), weights, estimator.class_weight)

    def weighed(self, numbers: Array | None = None) -> WeightedRows:
        """Return the rows of these numbers with their weights, or all rows.

        A row counts as often as its number occurs. class_weight='balanced' counts these rows only.
        """
        if numbers is None:
            return weigh_rows(self.X, self.labels, self.targets, self._factors, self.sample_weight)
        weights = count_rows(numbers, self.X.shape[0], self.sample_weight)
        return weigh_rows(self.X, self.labels, self.targets, self._factors_of(weights), weights)

    def counted_as_rows(self, rows: WeightedRows) -> WeightedRows:
        """Return some of the rows of `weighed()` with the unit in which the evidence counts rows."""
        return count_effective_rows(rows, self.labels, self._factors, self.sample_weight)

    @property
    def weight_of_a_row(self) -> float:
        """The caller's weight that counts as one row for the evidence: 1 if the weights are counts."""
        rows = self.weighed()
        return rows.weight_unit / self.counted_as_rows(rows).weight_unit

    def relative_class_weights(self, rows: WeightedRows) -> Array | None:
        """Return the factors by which class weights multiplied the weights of the selected rows, None without any.

        They are divided by a power of two, as they may overflow. `rows` are rows of this table, or its test or
        validation rows; the factors stand in the order of `rows.numbers()`.
        """
        if rows.factors is None:
            return None
        return row_factors(self.labels, rows.factors, rows.targets[rows.numbers()])[0]

    def test_rows(self, fold: Fold) -> WeightedRows:
        """Return a copy of the test rows of a fold. Their class weights are those of its training rows."""
        train, test = fold
        factors = self._factors_of(count_rows(train, self.X.shape[0], self.sample_weight))
        weights = None if self.sample_weight is None else self.sample_weight[test]
        return weigh_rows(self.X[test], self.labels, self.targets[test], factors, weights)

    def validation_rows(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> WeightedRows:
        """Check the caller's validation data; return them with weights that include the class weights of this table.

        Raises
        ------
        ValueError, TypeError
            If they are not valid, or do not fit this table.
        """
        try:
            X, y = validate_rows_and_labels(estimator, X, y, "y_val", reset=False)
            weights = check_sample_weight(sample_weight, X, "sample_weight_val")
        except (ValueError, TypeError) as error:
            raise type(error)(f"X_val, y_val or sample_weight_val is not valid: {error}") from error
        check_known_labels(y, self.labels)
        return weigh_rows(X, self.labels, self.labels.encode(y), self._factors, weights)

    @cached_property
    def _factors(self) -> Array | None:
        return self._factors_of(self.sample_weight)

    def _factors_of(self, weights: Array | None) -> Array | None:
        """Return the factors of the classes of rows with these weights."""
        return class_factors(self.labels, self.class_weight, self.targets, weights)

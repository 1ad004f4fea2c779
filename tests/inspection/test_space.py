"""Columns that may change, their bounds and units; and tables with other values in them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu.inspection._explained import Explained
from skrelu.inspection._space import Table, read_space

X, y = load_iris(return_X_y=True)


def explain(*steps):
    classifier = DeepLogisticClassifier((3,), alpha=1.0, random_state=0)
    return Explained.of(make_pipeline(*steps, classifier).fit(X, y))


def test_standard_unit_after_a_scaler_is_that_of_the_scaler_and_of_the_fit():
    explained = explain(StandardScaler())
    learned = explained.classifier.feature_scale_
    unit = X.std(axis=0) * (1 if learned is None else learned)
    space = read_space(explained, X, None, None, "standardized")
    np.testing.assert_allclose(space.scale, unit)


@pytest.mark.parametrize("fixed", [[1, -1], ["x1", "x3"], ["x1", 3], [False, True, False, True], np.array([1, 3])])
def test_fixed_columns_by_name_number_and_mask(fixed):
    space = read_space(explain(StandardScaler()), X, {1: (0, 1), "x2": (None, 4)}, fixed, "given")
    assert_array_equal(space.scale, [1, 0, 1, 0])
    assert_array_equal(space.high, [np.inf, np.inf, 4, np.inf])  # a fixed column has no bounds


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, pd.DataFrame, np.float32])
@pytest.mark.parametrize("steps", [(), (StandardScaler(),), (PCA(2),)])
def test_rebuilt_rows_have_the_values_given(kind, steps):
    given = X.astype(np.float32) if kind is np.float32 else kind(X)
    if sparse.issparse(given) and steps:
        pytest.skip("these steps take dense rows")
    table = Table.of(explain(*steps), given)
    values = table.rows + 0.1
    assert_array_equal(np.asarray(table.rebuild(values)), values)
    assert_array_equal(np.asarray(table.rebuild(values[5:7], np.array([5, 6]))), values[5:7])
    assert_array_equal(Table.of(explain(*steps), table.rebuild(values)).rows, values)

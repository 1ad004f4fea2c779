"""scikit-learn's own checks, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV

ESTIMATORS = [
    # Without a penalty, 200 iterations memorise the 75 rows of one of the checks: probabilities of exactly 1.
    *(
        DeepLogisticClassifier(hidden_layer_sizes=sizes, alpha=alpha, max_iter=100, tol=1e-4)
        for sizes in [(), (7,), (6, 4), (100,)]
        for alpha in (0, 1)
    ),
    DeepLogisticClassifier(),
    # As good in 100 iterations: what is checked does not depend on the last digits.
    *(DeepLogisticClassifier(hidden_layer_sizes=sizes, max_iter=100) for sizes in [(), (7,), (6, 4)]),
    DeepLogisticClassifier(alpha_grouping="shared", predictive="laplace", max_iter=100),
    DeepLogisticClassifier(hidden_layer_sizes=(5,), alpha_grouping="layer", n_curvature_terms=20, max_iter=100),
    DeepLogisticClassifierCV((5,), alphas=[0.1, 1.0, 10.0], cv=2, max_iter=100),
]


@pytest.mark.filterwarnings(
    # The checks fit data that are neither scaled nor separable for as long as max_iter lets them.
    "ignore:L-BFGS ended before it found a minimum:sklearn.exceptions.ConvergenceWarning",
    # They also fit labels that the features say nothing about, and with 20 terms.
    "ignore:The training rows do not determine the network:UserWarning",
    "ignore:The 20 terms drawn for the curvature are used up:UserWarning",
    # check_array_api_input needs SCIPY_ARRAY_API in the environment, for any estimator.
    "ignore:.*SCIPY_ARRAY_API:sklearn.exceptions.SkipTestWarning",
)
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn(estimator, check):
    check(estimator)

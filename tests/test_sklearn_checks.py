"""scikit-learn's own checks. None fails, except with early stopping the two that compare weights with repeated rows."""

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
    DeepLogisticClassifier(early_stopping=True, max_iter=100),
    DeepLogisticClassifier(early_stopping=True, alpha=1, max_iter=100),
    DeepLogisticClassifierCV((5,), alphas=[0.1, 1.0, 10.0], cv=2, max_iter=100),
]

OTHER_ROWS = (
    "a repeated row may be in both parts, a weighted one is in one: other rows are held out, as in MLPClassifier"
)
WEIGHT_CHECKS = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")


def expected_failures(estimator):
    """Return the checks that cannot pass: MLPClassifier(early_stopping=True) fails 7 or 8, these among them."""
    stops_early = getattr(estimator, "early_stopping", False) is True
    return dict.fromkeys(WEIGHT_CHECKS, OTHER_ROWS) if stops_early else {}


@pytest.mark.filterwarnings(
    # The checks fit data that are neither scaled nor separable for as long as max_iter lets them.
    "ignore:L-BFGS ended before it found a minimum:sklearn.exceptions.ConvergenceWarning",
    # They also fit labels that the features say nothing about, and with 20 terms.
    "ignore:The training rows do not determine the network:UserWarning",
    # Where rows are few and early stopping is asked for.
    "ignore:The validation set is too small, or leaves too little:UserWarning",
    "ignore:The 20 terms drawn for the curvature are used up:UserWarning",
    # check_array_api_input needs SCIPY_ARRAY_API in the environment, for any estimator.
    "ignore:.*SCIPY_ARRAY_API:sklearn.exceptions.SkipTestWarning",
)
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn(estimator, check):
    check(estimator)

"""skrelu: logistic regression grown deep, fitted on all rows at once by L-BFGS."""

from skrelu._classifier import DeepLogisticClassifier
from skrelu._cv import DeepLogisticClassifierCV
from skrelu._functional import loss_and_gradient
from skrelu._version import __version__

__all__ = ["DeepLogisticClassifier", "DeepLogisticClassifierCV", "__version__", "loss_and_gradient"]

"""skrelu: logistic regression with a ReLU network as its score, fitted by L-BFGS to all rows at once."""

from skrelu._classifier import DeepLogisticClassifier
from skrelu._cv import DeepLogisticClassifierCV
from skrelu._functional import loss_and_gradient
from skrelu._version import __version__

__all__ = ["DeepLogisticClassifier", "DeepLogisticClassifierCV", "__version__", "loss_and_gradient"]

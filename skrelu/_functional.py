"""The objective and its gradient as one public function, to check the mathematics or to use another optimizer."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length

from skrelu._core.arrays import Array, MatrixLike
from skrelu._core.datafit import Datafit
from skrelu._core.losses import BinaryLoss, Loss, MultinomialLoss
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._data.dates import check_no_dates
from skrelu._data.labels import Labels, check_indicator
from skrelu._data.validation import (
    FLOAT_DTYPES,
    check_each_label,
    check_no_foreign_array,
    check_sample_weight,
    plain_labels,
)


def loss_and_gradient(
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike],
    X: MatrixLike,
    y: MatrixLike,
    *,
    sample_weight: ArrayLike | None = None,
    alpha: float = 0.0,
) -> tuple[float, list[Array], list[Array]]:
    r"""Return the loss of a ReLU network, summed over the rows, and its gradient.

    The loss is :math:`\sum_i s_i \ell_i + \frac{\alpha}{2} \sum_l \|W_l\|_F^2` in nats. The loss of row i is
    :math:`\ell_i = \log(1 + \exp(-y_i f(x_i)))` for one output,
    :math:`\ell_i = -\log \mathrm{softmax}(f(x_i))_{y_i}` for K outputs and class indices, and the sum of K binary
    losses for K outputs and an indicator. The derivative of relu at 0 is taken as 0.

    Parameters
    ----------
    coefs : sequence of array-like of shape (n_l, m_l)
        The weights of each layer as in `coefs_`: the transpose of W_l.
    intercepts : sequence of array-like of shape (m_l,)
        The biases of each layer.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        float32 is computed in float32, any other type in float64.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        With one output, two classes: 0 and 1, -1 and +1, or any two labels, of which the second in sorted order is the
        positive one. With K outputs, class indices 0..K-1 if 1-d, or an indicator of 0 and 1 if 2-d.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights s_i, finite and not negative.
    alpha : float, default=0.0
        Strength of the L2 penalty on the weights; biases are not penalised.

    Returns
    -------
    loss : float
        The sum over the rows, not the mean.
    coef_grads : list of ndarray of shape (n_l, m_l)
        The derivatives with respect to `coefs`, equation (b) of `docs/theory/gradient.md`, in float64.
    intercept_grads : list of ndarray of shape (m_l,)
        The derivatives with respect to `intercepts`, equation (a), in float64.

    Raises
    ------
    ValueError
        If the shapes do not fit together, y holds labels that do not fit the number of outputs, or X or the weights are
        not valid.

    See Also
    --------
    DeepLogisticClassifier : The estimator that minimises this function.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton and R. J. Williams, 'Learning representations by back-propagating errors', Nature
    323, 1986.

    Examples
    --------
    At score 0 every probability is 1/2, so the loss of each row is log 2:

    >>> import numpy as np
    >>> from skrelu import loss_and_gradient
    >>> X, y = np.array([[1.0], [3.0]]), np.array([0, 1])
    >>> loss, coef_grads, intercept_grads = loss_and_gradient(
    ...     [np.zeros((1, 1))], [np.zeros(1)], X, y
    ... )
    >>> bool(np.isclose(loss, 2 * np.log(2)))
    True
    >>> coef_grads[0], intercept_grads[0]
    (array([[-1.]]), array([0.]))
    """
    network, parameters = _check_layers(coefs, intercepts)
    alpha = _check_alpha(alpha)
    for array, name in ((X, "X"), (y, "y")):
        check_no_foreign_array(array, name)
    check_no_dates(X)
    with np.errstate(all="ignore"):  # scikit-learn looks for NaN by a sum, which may overflow
        X = check_array(X, accept_sparse="csr", dtype=FLOAT_DTYPES, input_name="X")
    if X.shape[1] != network.layer_sizes[0]:
        raise ValueError(f"X has {X.shape[1]} features, but coefs[0] has {network.layer_sizes[0]} rows.")
    check_each_label(y, "y")
    y = plain_labels(check_array(y, ensure_2d=False, dtype=None, accept_sparse="csr", input_name="y"), "y")
    check_consistent_length(X, y)
    weights = check_sample_weight(sample_weight, X)
    loss, targets = _encode(y, network.layer_sizes[-1])
    with Team(1) as team:
        datafit = Datafit(network, loss, X, targets, team=team, sample_weight=weights)
        objective = Objective(datafit, Penalty.of(network, "shared", alpha)) if alpha else datafit
        value, gradient = objective.value_and_gradient(parameters)
    coef_grads, intercept_grads = network.split(gradient * datafit.total_weight)
    return value * datafit.total_weight, coef_grads, intercept_grads


def _check_alpha(alpha: Any) -> float:
    if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 <= float(alpha) < np.inf:
        raise ValueError(f"alpha must be a number in [0, inf), got {alpha!r}.")
    return float(alpha)


def _check_layers(coefs: Sequence[ArrayLike], intercepts: Sequence[ArrayLike]) -> tuple[Network, Array]:
    """Return the network that the shapes describe and its flat parameters."""
    weights = [_check_numbers(coef, f"coefs[{l}]") for l, coef in enumerate(coefs)]
    biases = [_check_numbers(intercept, f"intercepts[{l}]") for l, intercept in enumerate(intercepts)]
    if not weights or len(weights) != len(biases):
        raise ValueError(
            f"coefs and intercepts must hold one array per layer, got {len(weights)} and {len(biases)} arrays."
        )
    for l, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if weight.ndim != 2 or 0 in weight.shape:
            raise ValueError(f"coefs[{l}] must have shape (n_l, m_l), got {weight.shape}.")
        if l > 0 and weights[l - 1].shape[1] != weight.shape[0]:
            raise ValueError(
                f"coefs[{l}] must have {weights[l - 1].shape[1]} rows, as coefs[{l - 1}] has columns, "
                f"got shape {weight.shape}."
            )
        if bias.shape != weight.shape[1:]:
            raise ValueError(f"intercepts[{l}] must have shape {weight.shape[1:]}, got {bias.shape}.")
    network = Network((weights[0].shape[0], *(weight.shape[1] for weight in weights)))
    return network, network.join(weights, biases)


def _check_numbers(array: ArrayLike, name: str) -> Array:
    try:
        return check_array(array, dtype=np.float64, ensure_2d=False, input_name=name)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{name} must be an array of finite numbers: {error}") from error


def _encode(y: Any, n_outputs: int) -> tuple[Loss, Array]:
    """Return the loss for this shape of y and number of outputs, and its targets."""
    if y.ndim == 2 and y.shape[1] == n_outputs and n_outputs > 1:
        check_indicator(y, "y")
        return BinaryLoss(), Labels(np.arange(n_outputs), n_outputs, BinaryLoss()).encode(y)
    if n_outputs == 1 and y.size == y.shape[0] and not hasattr(y, "toarray"):
        y = y.ravel()
        found = np.unique(y)
        if len(found) > 2 or (len(found) == 1 and found[0] not in (-1, 0, 1)):
            raise ValueError(f"y must hold two labels if there is one output, got {found[:5].tolist()}.")
        # A single label, as in the gradient of one row, is read as one of 0/1 or -1/+1.
        is_positive = y == found[1] if len(found) == 2 else y > 0
        return BinaryLoss(), np.where(is_positive, 1, -1).astype(np.int8)[:, np.newaxis]
    if y.ndim == 1:
        if not (np.isin(y, np.arange(n_outputs)).all()):
            raise ValueError(f"y must hold class indices 0..{n_outputs - 1} if it is 1-d, got {np.unique(y)[:5]}.")
        return MultinomialLoss(), y.astype(np.int32)
    raise ValueError(f"y of shape {y.shape} does not fit {n_outputs} output(s).")

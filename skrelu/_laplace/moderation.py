"""Moderated scores, and the factor of the variances that moderate them.

The probabilities are moderated (D. J. C. MacKay, 'The Evidence Framework Applied to Classification Networks', Neural
Computation 4, 1992):

    two classes, labels    sigmoid(kappa f),    kappa = 1 / sqrt(1 + pi v / 8), v a variance of f
    K classes              softmax over k of kappa_k (f_k - mean f), v_k a variance of f_k - mean f

For K classes only differences of scores have a meaning. So each score less the mean of the scores is moderated, by its
own variance (M. N. Gibbs, 'Bayesian Gaussian Processes for Regression and Classification', Cambridge, 1997).

On tables with little noise Laplace's variances are too large. So they are multiplied by

    r tau^(1/r),    r = max(1, k(x, x) / reach),

where k(x, x) is the variance under the prior, which grows with the square of the distance, and `reach` its largest
value over the training rows. The training rows choose the scale tau, see `leave_one_out`. Within their reach the factor
is tau. Far away it tends to r, whatever tau is, so the variance grows faster than the square of the score, and the
probabilities tend to 1/2, or to 1/K. A. Kristiadi, M. Hein and P. Hennig, 'An Infinite-Feature Extension for Bayesian
ReLU Nets That Fixes Their Asymptotic Overconfidence', NeurIPS 34, 2021, show that variances have to grow faster.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from skrelu._core.arrays import Array

_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Moderation:
    """The factor of the variances at each x.

    Attributes
    ----------
    scale : float
        tau, from 1e-8 to 1.
    reach : ndarray of shape (n_outputs,)
        The largest prior variance of each score over the training rows.
    """

    scale: float
    reach: Array

    @classmethod
    def unscaled(cls, n_outputs: int) -> Self:
        """Return the moderation by Laplace's own variances."""
        return cls(1.0, np.full(n_outputs, np.inf))

    @np.errstate(all="ignore")
    def scaled(self, variances: Array, prior_variances: Array) -> Array:
        """Return the variances multiplied by their factor.

        Parameters
        ----------
        variances, prior_variances : ndarray of shape (n_samples, n_outputs)
        """
        ratios = np.ones_like(variances)
        np.divide(prior_variances, self.reach, out=ratios, where=prior_variances > self.reach)
        # With finite numbers a variance of 0 stays 0, and a moderated score keeps its sign.
        ratios = np.minimum(ratios, _LARGEST)
        return np.minimum(variances * (ratios * self.scale ** (1 / ratios)), _LARGEST)


def moderate(scores: Array, variances: Array, *, is_relative: bool) -> Array:
    """Return the scores whose sigmoid or softmax is the moderated probability."""
    if is_relative:
        scores = scores - scores.mean(axis=1, keepdims=True)
    return (scores / np.sqrt(1 + np.pi / 8 * variances)).astype(scores.dtype)

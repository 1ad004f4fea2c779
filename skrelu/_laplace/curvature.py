"""The Gauss-Newton curvature at one point, by the m x m Gram matrix of its m terms.

The size of the Gram matrix does not depend on the number P of parameters. With A = G + diag(alpha),
G = sum_t g_t g_t^T over m terms t, and Gamma the m x P matrix of rows g_t^T,

    K = Gamma diag(1 / alpha) Gamma^T = sum_l K_l,    K_l = (D_l D_l^T) o (Z_{l-1} diag(1 / alpha_l) Z_{l-1}^T),

because the part of g_t for layer l is the outer product of the layer's input z and its delta. Then

    gamma_g = tr((I + K)^-1 K_g)                           the well-determined parameters of a group g of weights
    log|A|  = sum_j log alpha_j + log|I + K|
    v(x)    = k(x, x) - k(x, Gamma) (I + K)^-1 k(Gamma, x)  = j^T A^-1 j, the variance of the score whose gradient is j

all by the identity of Woodbury (1950). Biases have no penalty and are held fixed.

If the terms were drawn, C = diag(c) takes the place of I. A term drawn with probability pi has the weight 1 / pi. With
C = I such terms would reduce the variance too much along their own gradients, and too little along those of terms that
were not drawn. By the formula of Sherman and Morrison a term of weight w changes the inverse by w / (1 + w q), with
q = g^T A^-1 g without the term. This change has the right expectation if pi w / (1 + w q) = 1 / (1 + q). With
w = 1 / (pi c) and the leverage of the term h = w q / (1 + w q), it follows that

    c = (1 - h) / (1 - pi h):    1 for a term that is certain to be drawn, 1 - h for one of many similar terms.

c is a fixed point, because h depends on c. docs/decisions/0007 has the measurements.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Self

import numpy as np
from scipy.linalg import lapack, solve_triangular

from skrelu._core.arrays import Array, Inputs
from skrelu._core.network import trace_back, trace_rows
from skrelu._core.terms import Terms
from skrelu._laplace.inner_products import column_forms, inner_products, squared_norms


@dataclass(frozen=True)
class Tangents:
    """Gradients of scores with respect to all weights, as factors of outer products: layer inputs z and deltas.

    Attributes
    ----------
    inputs : list of {ndarray, CSR matrix, CentredRows} of shape (n, n_l)
    deltas : list of ndarray of shape (n, m_l)
    """

    inputs: list[Inputs]
    deltas: list[Array]

    @classmethod
    def of(cls, layers: list[Array], rows: Inputs, slopes: Array) -> Self:
        """Return the gradients of slopes_i . f(x_i) for each row."""
        inputs, _ = trace_rows(layers, rows)
        return cls(inputs, trace_back(layers, inputs, slopes))

    def kernel(self, others: "Tangents", alphas: list[Array]) -> Array:
        """Return g_i^T diag(1 / alpha) g_j for all pairs, the network's tangent kernel, of shape (n, n_others)."""
        return reduce(np.add, self.kernels(others, alphas))

    def kernels(self, others: "Tangents", alphas: list[Array]) -> Iterator[Array]:
        """Yield the part of the tangent kernel of each layer."""
        for kernel, d, e in zip(self.input_products(others, alphas), self.deltas, others.deltas, strict=True):
            kernel *= d @ e.T
            yield kernel

    def input_products(self, others: "Tangents", alphas: list[Array]) -> Iterator[Array]:
        """Yield z_i^T diag(1 / alpha) z_j of each layer for all pairs, of shape (n, n_others)."""
        for z, y, alpha in zip(self.inputs, others.inputs, alphas, strict=True):
            yield inner_products(z, y, alpha)

    def products(self, others: "Tangents", alphas: list[Array]) -> Array:
        """Return g_i^T diag(1 / alpha) h_i of each row; h are the gradients of `others`, which has the same inputs."""
        return sum(
            np.einsum("ij,ij->i", d, e) * squared_norms(z, alpha)
            for z, d, e, alpha in zip(self.inputs, self.deltas, others.deltas, alphas, strict=True)
        )


class Curvature:
    """The curvature A = G + diag(alpha), represented by its terms.

    Parameters
    ----------
    layers : list of ndarray of shape (n_l + 1, m_l)
        The point, in float64.
    terms : Terms
    alphas : list of number or ndarray of shape (n_features,)
        The alpha of each layer, positive; for the first layer a number or one for each feature.
    mean_leverage : float
        The first value of c assumes this leverage for all terms.
    n_corrections : int
        The number of factorisations; c is corrected before each one after the first.

    Attributes
    ----------
    mean_leverage : float
        The mean over the terms that were not certain to be drawn; 0 if all were certain.
    """

    def __init__(
        self,
        layers: list[Array],
        terms: Terms,
        alphas: list[Array],
        *,
        mean_leverage: float = 0.0,
        n_corrections: int = 1,
    ) -> None:
        self.terms = terms
        self.alphas = alphas
        self.tangents = Tangents.of(layers, terms.X, terms.slopes)
        self._kernels = list(self.tangents.kernels(self.tangents, alphas))
        kernel = reduce(np.add, self._kernels)
        missing = 1 - terms.inclusion
        self.mean_leverage = 0.0
        self.damping = 1 - mean_leverage * missing
        for number in range(1 if terms.is_complete else n_corrections):
            if number > 0:
                self.damping = np.maximum(self._remainders / (missing + terms.inclusion * self._remainders), 1e-12)
            self._factorise(kernel)
        if not terms.is_complete:
            self.mean_leverage = float(missing @ self._leverages) / missing.sum()

    def _factorise(self, kernel: Array) -> None:
        matrix = kernel.copy()
        matrix[np.diag_indices_from(matrix)] += self.damping
        self.factor, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
        if info != 0:
            raise np.linalg.LinAlgError("the Gram matrix of the curvature is not positive definite")
        # The leverage of a term is the diagonal entry of (C + K)^-1 K, its part of gamma.
        self._inverse_factor = lapack.dtrtri(self.factor, lower=1)[0]
        # 1 minus the leverage is computed directly, as a difference would lose its digits near 0.
        self._remainders = self.damping * np.einsum("ij,ij->j", self._inverse_factor, self._inverse_factor)
        self._leverages = 1 - self._remainders

    @cached_property
    def log_determinant(self) -> float:
        """log|I + K|; if terms were drawn, that of the complete curvature in expectation."""
        from_factor = 2 * np.log(np.diag(self.factor)).sum() - np.log(self.damping).sum()
        if self.terms.is_complete:
            return float(from_factor)
        # In expectation a term of probability pi adds pi log(1 + w q). In the complete sum it would add log(1 + q).
        # The difference is subtracted. w = 1 / (pi c), q = g^T A^-1 g without the term, and
        # 1 - leverage = 1 / (1 + w q).
        pi, odds = self.terms.inclusion, self._leverages / self._remainders
        return float(from_factor - (np.log1p(odds) - np.log1p(pi * self.damping * odds) / pi).sum())

    def effective_parameters(self, *, by_feature: bool) -> list[Array]:
        """Return gamma of each layer; for the first layer of each feature if `by_feature`."""
        # The lower triangle, doubled off the diagonal, has the same quadratic form as the symmetric matrix.
        inverse, _ = lapack.dlauum(self._inverse_factor, lower=1)
        inverse *= 2
        inverse[np.diag_indices_from(inverse)] /= 2
        gammas = [np.asarray(np.vdot(inverse, kernel)) for kernel in self._kernels]
        if by_feature:
            weights = self.tangents.deltas[0] @ self.tangents.deltas[0].T
            weights *= inverse
            gammas[0] = column_forms(self.tangents.inputs[0], weights) / self.alphas[0]
        return gammas

    def covariances(self, tangents: list[Tangents]) -> tuple[Array, Array]:
        """Return g_a^T A^-1 g_b and g_a^T diag(1 / alpha) g_b of each row for all pairs of outputs a, b.

        Returns
        -------
        covariances, prior_covariances : ndarray of shape (n, n_outputs, n_outputs)
        """
        n_rows, n_outputs = len(tangents[0].deltas[0]), len(tangents)
        kernels = np.zeros((n_outputs, n_rows, len(self.factor)))  # transposed, so that each output's is contiguous
        # The outputs have the same inputs, so these products are computed once.
        for l, products in enumerate(tangents[0].input_products(self.tangents, self.alphas)):
            for kernel, part in zip(kernels, tangents, strict=True):
                kernel += products * (part.deltas[l] @ self.tangents.deltas[l].T)
        solved = solve_triangular(self.factor, kernels.reshape(-1, len(self.factor)).T, lower=True, overwrite_b=True)
        explained = solved.T.reshape(kernels.shape)
        prior = np.empty((n_rows, n_outputs, n_outputs))
        covariances = np.empty_like(prior)
        for a, first in enumerate(tangents):
            for b in range(a + 1):
                products = first.products(tangents[b], self.alphas)
                prior[:, a, b] = prior[:, b, a] = products
                products = products - np.einsum("ij,ij->i", explained[a], explained[b])
                covariances[:, a, b] = covariances[:, b, a] = products
        return covariances, prior


def predictive_variances(
    tangents: Tangents, terms: Tangents, factor: Array, alphas: list[Array]
) -> tuple[Array, Array]:
    """Return k(x, x) - k(x, Gamma) (C + K)^-1 k(Gamma, x) and k(x, x) of each row.

    `factor` is the lower Cholesky factor of C + K. k(x, x) is the variance under the prior.
    """
    across = terms.kernel(tangents, alphas)
    explained = solve_triangular(factor, across, lower=True, overwrite_b=True, check_finite=False)
    prior = tangents.products(tangents, alphas)
    return np.maximum(prior - np.einsum("ij,ij->j", explained, explained), 0), prior

"""The penalty 1/2 sum_g alpha_g ||W_g||^2 over groups g of weights; biases are in no group.

A group is all weights, the weights of a layer, or the weights of an input feature.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.network import Network


@dataclass(frozen=True)
class Penalty:
    """Groups of weights, each with an alpha of its own.

    Parameters
    ----------
    network : Network
    grouping : {'shared', 'layer', 'feature'}
        'shared': one group. 'layer': one for each layer. 'feature': one for each input feature (a row of `coefs_[0]`)
        and a last one for all later layers; without a hidden layer the last one is empty.
    alphas : ndarray of shape (n_groups,)
    """

    network: Network
    grouping: str
    alphas: Array

    @classmethod
    def of(cls, network: Network, grouping: str, alpha: float | Array = 1.0) -> "Penalty":
        """Return the penalty with the same alpha in all groups, or with an array of one alpha for each group."""
        n_groups = {"shared": 1, "layer": len(network.shapes), "feature": network.layer_sizes[0] + 1}[grouping]
        return cls(network, grouping, np.full(n_groups, alpha, dtype=np.float64))

    def with_alphas(self, alphas: Array) -> "Penalty":
        """Return the penalty of the same groups with other alphas."""
        return replace(self, alphas=alphas)

    @property
    def is_by_feature(self) -> bool:
        return self.grouping == "feature"

    def value_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return the penalty and its gradient, in float64."""
        gradient = self.per_parameter * parameters
        return 0.5 * float(gradient @ parameters), gradient

    def value(self, parameters: Parameters) -> float:
        """Return the penalty without its gradient."""
        return self.value_and_gradient(parameters)[0]

    @cached_property
    def per_layer(self) -> list[Array]:
        """The alpha of each layer: a number, or for a first layer grouped by feature an array of (n_features,)."""
        n_layers = len(self.network.shapes)
        if self.is_by_feature:
            return [self.alphas[:-1]] + [self.alphas[-1]] * (n_layers - 1)
        return list(np.broadcast_to(self.alphas, n_layers))

    @cached_property
    def per_parameter(self) -> Parameters:
        """The alpha of each entry of the flat parameter vector, 0 for biases."""
        alphas = np.zeros(self.network.n_parameters)
        for weights, alpha in zip(self.network.split(alphas)[0], self.per_layer, strict=True):
            weights[...] = alpha[:, np.newaxis] if np.ndim(alpha) else alpha
        return alphas

    def add_up(self, figures: list[Array]) -> Array:
        """Return the sum of the figures in each group.

        `figures` has a number for each layer; grouped by feature, for the first layer an array of one for each feature.
        """
        if self.grouping == "shared":
            return np.array([sum(float(np.sum(figure)) for figure in figures)])
        if self.is_by_feature:
            return np.append(figures[0], sum(float(figure) for figure in figures[1:]))
        return np.array([float(figure) for figure in figures])

    def squared_norms(self, parameters: Parameters) -> Array:
        """Return ||W_g||^2 of each group."""
        squares = [np.square(weights) for weights in self.network.split(parameters)[0]]
        first = squares[0].sum(axis=1) if self.is_by_feature else squares[0].sum()
        return self.add_up([first, *(square.sum() for square in squares[1:])])

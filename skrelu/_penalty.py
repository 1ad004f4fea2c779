"""Which weights share an alpha: all, those of a layer, or those of an input feature.

The penalty is 1/2 sum_g alpha_g ||W_g||^2 over groups g of weights; biases are in no group.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._network import Network
from skrelu._typing import Array, Parameters


@dataclass(frozen=True)
class Penalty:
    """A partition of the weights into groups, each with an alpha of its own.

    Parameters
    ----------
    network : Network
    grouping : {'shared', 'layer', 'feature'}
        One group; one for each layer; or one for each input feature (a row of `coefs_[0]`) and a last one for all
        later layers, which without a hidden layer is empty.
    """

    network: Network
    grouping: str

    @property
    def n_groups(self) -> int:
        if self.grouping == "shared":
            return 1
        return len(self.network.shapes) if self.grouping == "layer" else self.network.layer_sizes[0] + 1

    @property
    def divides_features(self) -> bool:
        return self.grouping == "feature"

    def by_layer(self, alphas: Array) -> list[Array]:
        """Return the alpha of each layer: a number, or for the first one of shape (n_features,)."""
        n_layers = len(self.network.shapes)
        if self.divides_features:
            return [alphas[:-1]] + [alphas[-1]] * (n_layers - 1)
        return list(np.broadcast_to(alphas, n_layers))

    def group(self, figures: list[Array]) -> Array:
        """Add up figures of each layer, for the first one of each feature if these are divided, by groups."""
        if self.grouping == "shared":
            return np.array([sum(float(np.sum(figure)) for figure in figures)])
        if self.divides_features:
            return np.append(figures[0], sum(float(figure) for figure in figures[1:]))
        return np.array([float(figure) for figure in figures])

    def per_parameter(self, alphas: Array) -> Parameters:
        """Return the alpha of each entry of the flat parameter vector, 0 for biases."""
        spread = np.zeros(self.network.n_parameters)
        for weights, alpha in zip(self.network.split(spread)[0], self.by_layer(alphas), strict=True):
            weights[...] = alpha[:, np.newaxis] if np.ndim(alpha) else alpha
        return spread

    def squared_norms(self, parameters: Parameters) -> Array:
        """Return ||W_g||^2 of each group."""
        squares = [np.square(weights) for weights in self.network.split(parameters)[0]]
        first = squares[0].sum(axis=1) if self.divides_features else squares[0].sum()
        return self.group([first, *(square.sum() for square in squares[1:])])

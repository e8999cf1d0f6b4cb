"""The place of an optimizer in a sweep that needs none."""

from __future__ import annotations

from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import ArrayTuple, Optimizer
from searchlab.replicas import Replicas


class NoOptimizer(Optimizer):
    """No optimizer: the default of `Sweep`, for models that are fitted in one pass by `Fit`.

    Args:
        parameters: The parameters, which are not updated.
        replicas: The replicas that they belong to.

    Example:
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> from searchlab.optim import NoOptimizer
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> before = parameters.values.copy()
        >>> NoOptimizer(parameters, replicas).update()
        >>> bool((parameters.values == before).all())
        True
    """

    def __init__(self, parameters: Parameters, replicas: Replicas) -> None:
        super().__init__(parameters)

    def step_coefficients(self) -> ArrayTuple:
        return ()

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        """Leave the values as they are."""

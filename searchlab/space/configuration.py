"""The configuration of a trial: constructors with a value for every argument."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.space.space import BoundConstructor


@dataclass(frozen=True)
class Configuration:
    """The configuration of one trial: a value for every argument of its model, its optimizer and its training.

    Attributes:
        model: Constructor of the model, called with the replicas and the sizes of the data.
        optimizer: Constructor of the optimizer.
        training: Constructor of the trainer.
    """

    model: BoundConstructor
    optimizer: BoundConstructor
    training: BoundConstructor

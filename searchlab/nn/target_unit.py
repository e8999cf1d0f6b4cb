"""A model that was trained on standardized targets, and predicts in their own unit."""

from __future__ import annotations

from dataclasses import replace

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.scaling import Scaling
from searchlab.nn.ensemble import Ensemble
from searchlab.nn.module import Carry, Model


class TargetUnitModel(Model):
    """The wrapped model with predictions in the unit of the targets, as metrics and users need them.

    Args:
        model: A model of R replicas that was trained on standardized targets.
        scaling: Mean and scale of the targets, (R, outputs) each.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Batch, Scaling
        >>> from searchlab.nn.target_unit import TargetUnitModel
        >>> from searchlab.testing.fixed_models import EchoModel  # its outputs are its inputs
        >>> model = TargetUnitModel(EchoModel(), Scaling(np.array([[100.0]]), np.array([[5.0]])))
        >>> model.predict(Batch(np.array([[[0.0], [2.0]]]), y=np.zeros((1, 2, 1))))[0].tolist()
        [[[100.0], [110.0]]]
    """

    def __init__(self, model: Model, scaling: Scaling) -> None:
        self.model, self.scaling = model, scaling

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        """Return the loss (R,) of the wrapped model, which is of the standardized targets, and the carry."""
        y = self.scaling.standardize(batch.y.astype(self.scaling.mean.dtype))  # a copy
        return self.model.forward(replace(batch, y=y), carry, train=train)

    def backward(self) -> None:
        self.model.backward()

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Return the predictions in the unit of the targets, (R, B, outputs) of float64, and the carry."""
        outputs, carry = self.model.predict(batch, carry)
        return self.scaling.restore(outputs), carry


def in_target_unit(model: Model, scaling: Scaling | None) -> Model:
    """Return the model with predictions in the unit of the targets; the model itself where these are not scaled.

    Of an ensemble, each network predicts in that unit, by the scaling of its own training rows.
    """
    if scaling is None:
        return model
    if isinstance(model, Ensemble):
        return Ensemble(TargetUnitModel(model.model, scaling), model.count, model.average)
    return TargetUnitModel(model, scaling)

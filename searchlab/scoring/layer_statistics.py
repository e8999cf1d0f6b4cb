"""Norms of gradients and spreads of outputs by layer while a network trains: do they vanish, or explode, with depth?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from searchlab.backend import Array, to_host, xp_of
from searchlab.data.batch import Batch
from searchlab.nn.module import Model, Module
from searchlab.nn.parameter import Parameter, Parameters
from searchlab.replicas import Replicas


@dataclass(frozen=True)
class LayerStatistics:
    """The gradients and outputs of each layer of one network on a fixed batch, by epoch.

    Attributes:
        layers: Name of each layer (L) that holds parameters, as in the names of these; in the order of the model.
        kinds: Class of each layer.
        gradient_norms: Norm of the gradient over the parameters of each layer together (E + 1, L), before training and
            after each of E epochs.
        output_stds: Standard deviation of the outputs of each layer (E + 1, L), over rows and features; NaN for a layer
            that returns no outputs, as one that ends in the loss.

    Reference:
        Glorot and Bengio (2010).
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    gradient_norms: tuple[tuple[float, ...], ...]
    output_stds: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON values; a number that is not finite is None."""
        return {
            "layers": list(self.layers),
            "kinds": list(self.kinds),
            "gradient_norms": [_finite(row) for row in self.gradient_norms],
            "output_stds": [_finite(row) for row in self.output_stds],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LayerStatistics:
        """Return the statistics that `to_json` has written."""
        by_name = {
            name: tuple(tuple(math.nan if value is None else value for value in row) for row in values[name])
            for name in ("gradient_norms", "output_stds")
        }
        return cls(tuple(values["layers"]), tuple(values["kinds"]), **by_name)


class LayerProbe:
    """A second model of the same structure, on which the layers of a network are measured while it trains.

    Each measurement copies the parameters of the network into this model, and makes the forward and the backward pass
    of a training step here, on the same batch and with the same dropout masks each time. The network itself, its random
    numbers and its running statistics are not touched.

    Args:
        model: A model of one replica, built as the network was; it is trained nowhere else.
        replicas: Its replicas, which draw its dropout masks.
        batch: The batch.
    """

    def __init__(self, model: Model, replicas: Replicas, batch: Batch) -> None:
        self._model, self._replicas, self._batch = model, replicas, batch
        self._parameters = Parameters(model.named_parameters())
        names = {id(layer): (name, layer) for name, layer in reversed([*_find_layers(model)])}  # a shared one once
        self._layers = dict(reversed(names.values()))
        self._draws = replicas.state()
        self._outputs: list[list[tuple[int, Array, Array]]] = []  # of each layer, one entry per call
        self._measured: list[Array] = []  # by epoch (2, L, R), on the device
        for position, layer in enumerate(self._layers.values()):
            self._watch(position, layer)

    @property
    def has_layers(self) -> bool:
        """Whether the model has a layer that holds parameters; it may hold all of them itself."""
        return bool(self._layers)

    def measure(self, parameters: Parameters) -> None:
        """Measure the layers of a network with these parameters."""
        self._parameters.values[...] = parameters.values
        for name, buffer in self._parameters.buffers.items():
            buffer.value[...] = parameters.buffers[name].value
        self._replicas.restore(self._draws)
        self._outputs = [[] for _ in self._layers]
        with np.errstate(all="ignore"):  # gradients vanish and explode
            self._model.forward(self._batch, None, train=True)
            self._parameters.reset_gradients()
            self._model.backward()
            xp = xp_of(parameters.values)
            norms = [_gradient_norm(_own_parameters(layer)) for layer in self._layers.values()]
            stds = [_pooled_std(calls, norm) for calls, norm in zip(self._outputs, norms, strict=True)]
            self._measured.append(xp.stack([xp.stack(norms), xp.stack(stds)]))

    @property
    def statistics(self) -> LayerStatistics:
        """All that has been measured; the device is asked for it here, once."""
        measured = to_host(xp_of(self._measured[0]).stack(self._measured))[..., 0]  # (E + 1, 2, L)
        norms, stds = (tuple(tuple(row) for row in measured[:, part].tolist()) for part in (0, 1))
        kinds = tuple(type(layer).__name__ for layer in self._layers.values())
        return LayerStatistics(tuple(self._layers), kinds, norms, stds)

    def _watch(self, position: int, layer: Module) -> None:
        """Replace `forward` of a layer, and every method whose name begins so, by one that also notes its output."""
        for name in dir(type(layer)):
            if name.startswith("forward") and callable(method := getattr(layer, name)):
                setattr(layer, name, partial(self._call, position, method))

    def _call(self, position: int, method: Any, *arguments: Any, **options: Any) -> Any:
        """Call a forward pass, and note the mean and the variance of what it returns, the first of several arrays."""
        noted = len(self._outputs[position])
        result = method(*arguments, **options)
        y = result[0] if isinstance(result, tuple) else result
        del self._outputs[position][noted:]  # of a method of the layer that this one has called
        if getattr(y, "ndim", 0) > 2 and y.dtype.kind == "f":  # (R, ..., features), and not the loss (R,)
            exact = y.astype(np.float64).reshape(len(y), -1)
            mean = exact.mean(axis=1)  # (R,)
            self._outputs[position].append((exact.shape[1], mean, ((exact - mean[:, None]) ** 2).mean(axis=1)))
        return result


def _finite(values: Sequence[float]) -> list[float | None]:
    """Return the values, with None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in values]


def _find_layers(container: object, prefix: str = "") -> Iterator[tuple[str, Module]]:
    """Yield the name and the module of each layer in this one that holds parameters itself."""
    items = enumerate(container) if isinstance(container, (list, tuple)) else vars(container).items()
    for name, value in items:
        if isinstance(value, Module) and _own_parameters(value):
            yield f"{prefix}{name}", value
        if isinstance(value, (Module, list, tuple)):
            yield from _find_layers(value, f"{prefix}{name}.")


def _own_parameters(layer: Module) -> list[Parameter]:
    """Return the trainable parameters of a layer itself, and not those of layers in it."""
    return [value for value in vars(layer).values() if isinstance(value, Parameter) and value.trainable]


def _gradient_norm(parameters: Sequence[Parameter]) -> Array:
    """Return the Euclidean norm (R,) of the gradients of all these parameters together."""
    flat = [parameter.grad.astype(np.float64).reshape(len(parameter.grad), -1) for parameter in parameters]
    squares = [(gradients**2).sum(axis=1) for gradients in flat]
    norm: Array = xp_of(parameters[0].grad).sqrt(sum(squares[1:], squares[0]))
    return norm


def _pooled_std(calls: Sequence[tuple[int, Array, Array]], like: Array) -> Array:
    """Return the standard deviation (R,) over the outputs of all calls, else NaN."""
    if not calls:
        return like * math.nan
    total = sum(size for size, _, _ in calls)
    mean = sum(size / total * mean for size, mean, _ in calls)
    std: Array = xp_of(like).sqrt(sum(size / total * (var + (own - mean) ** 2) for size, own, var in calls))
    return std

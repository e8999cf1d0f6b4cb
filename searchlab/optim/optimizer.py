"""The interface of an optimizer: one step over the arrays of all replicas, in blocks that fit a core's cache."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array, to_device_of, to_host, xp_of
from searchlab.nn.parameter import Parameters, SparseParameter
from searchlab.nn.sparse_gradient import RowGradients, squared_norms
from searchlab.replicas import HasReplicaAxis, PerReplica, Replicas

# Numbers of one array in a block: 512 kB as float32. Adam's ten passes then find its four arrays in the cache, which is
# 1.4 times as fast on five networks of two million parameters; with a quarter of that, the calls begin to cost.
BLOCK_VALUES = 2**17

ArrayTuple: TypeAlias = tuple[Array, ...]


def clip_joint_norm(grads: Array, limit: Array) -> None:
    """Scale the gradients of each replica down, in place, to at most a Euclidean norm over all parameters together.

    Args:
        grads: Gradients of all parameters (R, P), changed in place.
        limit: Largest norm of each replica (R,).

    Reference:
        Pascanu, Mikolov and Bengio (2013).

    Example:
        >>> from searchlab.optim import clip_joint_norm
        >>> import numpy as np
        >>> grads = np.array([[3.0, 4.0], [0.3, 0.4]])
        >>> clip_joint_norm(grads, np.array([1.0, 1.0]))
        >>> grads.round(3).tolist()
        [[0.6, 0.8], [0.3, 0.4]]
    """
    xp = xp_of(grads)
    norm = xp.sqrt(xp.matmul(grads[:, None, :], grads[:, :, None])[:, 0, 0])  # (R,)
    grads *= xp.minimum(limit / (norm + 1e-6), 1.0)[:, None]


def clip_gradients(parameters: Parameters, limit: Array) -> None:
    """Scale the gradients of each replica down to at most a norm over all parameters together, sparse ones included.

    Args:
        parameters: The parameters, whose gradients are changed in place.
        limit: Largest norm of each replica (R,).

    Example:
        >>> from searchlab.optim import clip_gradients
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1], dtype=float)
        >>> parameters = Parameters(Affine(replicas, 1, 1).named_parameters())
        >>> parameters.grads[...] = [[3.0, 4.0]]
        >>> clip_gradients(parameters, replicas.vector(1.0))
        >>> parameters.grads.round(3).tolist()
        [[0.6, 0.8]]
    """
    if not parameters.sparse:
        clip_joint_norm(parameters.grads, limit)
        return
    grads, parts = parameters.grads, [part for sparse, _ in parameters.sparse for part in sparse.touched()]
    xp = xp_of(grads)
    squares = squared_norms(parts, len(grads), grads) + (grads * grads).sum(axis=1)  # (R,)
    factors = xp.minimum(limit / (xp.sqrt(squares) + 1e-6), 1.0)
    grads *= factors[:, None]
    for part in parts:
        part.values *= part.of_replica(factors)


def compiled_step(kernel: Callable[..., None], arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
    """Update a block by a compiled kernel: as a whole, or row by row where the rows lie apart.

    Rows of a sparse parameter share the coefficients of their replica, (1, 1) each; the kernel takes one per row.

    Args:
        kernel: The kernel, which takes the arrays and then the coefficients.
        arrays: Values, gradients and further arrays of the block, (r, p) each.
        coefficients: Numbers of its replicas, (r, 1) or (1, 1) each.
    """
    rows = len(arrays[0])
    if len(coefficients[0]) != rows:
        coefficients = tuple(np.full((rows, 1), coefficient) for coefficient in coefficients)
    operands = (*arrays, *coefficients)
    if all([array.flags.c_contiguous for array in operands]):
        kernel(*operands)
        return
    for r in range(rows):
        kernel(*(array[r : r + 1] for array in operands))


class Optimizer(HasReplicaAxis, ABC):
    """An update rule of parameters by their gradients, which a step may overwrite.

    A constructor takes the parameters and the replicas by position and its hyperparameters by keyword. An optimizer
    whose learning rate a schedule can change keeps it in `lr` and reads it at every step.

    Of a `SparseParameter`, only the rows that the latest batch has touched are updated, by the same rule: the moments
    of all other rows stand still (lazy updates). Counts of steps, as for Adam's bias correction, are those of all
    steps.

    Args:
        parameters: The parameters to update.

    Attributes:
        lr: Learning rate of each replica (R,), on the device.

    Example:
        >>> from searchlab.optim import Optimizer
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> class SignSGD(Optimizer):
        ...     def __init__(self, parameters, replicas, *, lr=0.25):
        ...         super().__init__(parameters)
        ...         self.lr = replicas.vector(lr)
        ...     def step_coefficients(self):
        ...         return (self.lr[:, None],)
        ...     def step_block(self, arrays, coefficients):
        ...         values, grads = arrays
        ...         values -= coefficients[0] * ((grads > 0.0) * 2.0 - 1.0).astype(grads.dtype)
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> parameters.grads[...] = 3.0
        >>> SignSGD(parameters, replicas).update()
        >>> parameters.trainable["b"].value.tolist()
        [[[-0.25]]]
    """

    lr: Array

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._blocks: list[tuple[slice, ArrayTuple]] = []  # rows of the replica axis, and views of their arrays
        self._tables: list[tuple[SparseParameter, ArrayTuple]] = []  # views (R, V, F) of values and extra arrays
        self._viewed: Array | None = None  # the values of which the blocks are views

    def validated_vector(self, replicas: Replicas, name: str, value: PerReplica, *, below: float = math.inf) -> Array:
        """Return an argument as one value per replica (R,), on the device.

        Args:
            replicas: The replicas.
            name: Name of the argument.
            value: One number for all replicas, or a sequence of R numbers.
            below: What each number has to be less than; default: no limit.

        Raises:
            UserMistake: When a number is not finite, below 0, or not below the limit.
        """
        limit = "" if below == math.inf else f" and below {below:g}"
        replicas.validated(self, name, value, f"of at least 0{limit}", lambda v: (v >= 0.0) & (v < below))
        return replicas.vector(value)

    @abstractmethod
    def step_coefficients(self) -> ArrayTuple:
        """Count the step, and return the numbers of each replica that `step_block` needs for it, (R, 1) each."""

    @abstractmethod
    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        """Update one block in place.

        A block is some neighboring columns of some replicas, so a number may not depend on other columns.

        Args:
            arrays: Values, gradients and `extra_arrays` of the block, (r, p) each.
            coefficients: What `step_coefficients` returned for these replicas, (r, 1) each.
        """

    def extra_arrays(self) -> ArrayTuple:
        """Return the arrays that `step_block` needs besides values and gradients: (R, P), or (1, P) where shared."""
        return ()

    def update(self) -> None:
        """Take one step for all replicas."""
        coefficients = self.step_coefficients()
        if self._viewed is not self.parameters.values:
            self._cut_blocks()
        if len(self._blocks) == 1:  # small networks: save even the slicing of coefficients
            self.step_block(self._blocks[0][1], coefficients)
        else:
            for rows, arrays in self._blocks:
                self.step_block(arrays, tuple([coefficient[rows] for coefficient in coefficients]))
        for parameter, tables in self._tables:
            for part in parameter.touched():
                self._update_rows(part, tables, coefficients)

    def _update_rows(self, part: RowGradients, tables: ArrayTuple, coefficients: ArrayTuple) -> None:
        """Update some rows of values and extra arrays, (R, V, F) each or (1, V, F) where shared."""
        values, *extra = (part.read(table) for table in tables)
        arrays = (values, part.values, *extra)
        self.step_block(arrays, tuple([part.of_replica(coefficient) for coefficient in coefficients]))
        for table, array in zip(tables, (values, *extra), strict=True):
            if len(table) == len(self.parameters.values):
                part.write(table, array)

    def slots(self) -> dict[str, Array]:
        """Return the arrays that are kept from step to step, by name; axis 0 is the replica."""
        return {}

    def _select_own(self, rows: Array) -> None:
        """Select these rows of the slots; the next update cuts new blocks."""
        self._blocks, self._tables, self._viewed = [], [], None
        super()._select_own(rows)

    def state(self) -> dict[str, Array]:
        """Return a copy of the slots on the host, by name."""
        return {name: to_host(slot).copy() for name, slot in self.slots().items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Take the slots of `state`.

        Args:
            state: Arrays by name, as `state` returns them.

        Raises:
            ValueError: When a name or a shape differs from those of this optimizer.
        """
        slots = self.slots()
        if set(state) != set(slots):
            raise ValueError(f"expected the slots {sorted(slots)}; got {sorted(state)}")
        for name, slot in slots.items():
            if state[name].shape != slot.shape:
                raise ValueError(f"{name} has shape {slot.shape} here and {state[name].shape} in the saved state")
            slot[...] = to_device_of(slot, state[name])

    def _cut_blocks(self) -> None:
        values = self.parameters.values
        replicas, count = self.parameters.grads.shape  # the dense parameters
        arrays = (values, self.parameters.grads, *self.extra_arrays())
        # on a GPU each block would launch every kernel
        limit = BLOCK_VALUES if xp_of(values) is np else max(1, values.size)
        self._blocks = [
            (rows, tuple(array[rows if len(array) > 1 else slice(1), columns] for array in arrays))
            for rows, columns in _block_slices(replicas, count, limit)
        ]
        self._tables = [
            (parameter, tuple(_as_table(array, columns, parameter.value) for array in (values, *self.extra_arrays())))
            for parameter, columns in self.parameters.sparse
        ]
        self._viewed = values


def _as_table(array: Array, columns: slice, table: Array) -> Array:
    """Return the columns of an array (R, P) or (1, P) as a view in the shape of a table (R, V, F)."""
    view: Array = array[:, columns].reshape(len(array), *table.shape[1:])
    return view


def _block_slices(rows: int, columns: int, limit: int) -> list[tuple[slice, slice]]:
    """Split (rows, columns) into whole rows, or parts of one row, of at most `limit` numbers.

    Each block is contiguous in memory: the same columns of many rows would take up to three times as long.
    """
    if not columns:  # all parameters are sparse
        return []
    height, width = max(1, limit // columns), min(columns, limit)
    return [
        (slice(r, r + height), slice(c, c + width)) for r in range(0, rows, height) for c in range(0, columns, width)
    ]

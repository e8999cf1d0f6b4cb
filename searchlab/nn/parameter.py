"""A trainable array of R networks, and the store that lays all of a model's parameters side by side in memory."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, select_rows, to_device_of, to_host, xp_of
from searchlab.nn.scatter import add_rows
from searchlab.nn.sparse_gradient import AddedRows, RowGradients, sum_by_row, to_dense
from searchlab.replicas import HasReplicaAxis, align


class Parameter:
    """A trainable array (R, ...) with its gradient. Layers that share a weight hold the same Parameter.

    The first gradient of a backward pass replaces that of the pass before; further ones are added where layers share
    the parameter.

    Args:
        value: The initial value (R, ...).
        apply_weight_decay: Whether weight decay acts on it, as on the weights of a layer and not on its biases.
        trainable: Whether an optimizer updates it. One that is not trainable (a running mean) is saved with the others,
            and only its layer changes it.

    Attributes:
        value: The value (R, ...).
        grad: The gradient (R, ...) of the latest backward pass.
        is_shared: Whether more than one layer holds it; `Parameters` finds out.
        has_gradient: Whether one of the layers that share it has added its gradient in the current backward pass.

    Example:
        >>> from searchlab.nn import Parameter
        >>> import numpy as np
        >>> b = Parameter(np.zeros((2, 3)))
        >>> b.add_gradient(np.ones((2, 3)))
        >>> b.grad.tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(self, value: Array, *, apply_weight_decay: bool = False, trainable: bool = True) -> None:
        self.value, self.apply_weight_decay, self.trainable = value, apply_weight_decay, trainable
        self.grad = xp_of(value).zeros_like(value)
        self.is_shared = False
        self.has_gradient = False

    def add_gradient(self, gradient: Array) -> None:
        """Add the gradient (R, ...) of one layer in the current backward pass."""
        if self._accumulates():
            self.grad += gradient
        else:
            self.grad[...] = gradient

    def add_gradient_product(self, a: Array, b: Array) -> None:
        """Add the gradient a @ b, which is written in place where nothing has to be added up."""
        xp = xp_of(a)
        if self._accumulates():
            self.grad += xp.matmul(a, b)
        else:
            xp.matmul(a, b, out=self.grad)

    def add_gradient_rows(self, rows: Array, gradients: Array, coefficients: Array | None = None) -> None:
        """Add gradients of some rows of a parameter (R, V, F); a row that occurs twice receives both.

        Args:
            rows: Row numbers (R, N), or (R, K, N) where each gradient is added to K rows; -1 for no row.
            gradients: The gradients (R, N, F).
            coefficients: What each gradient is multiplied by for each of its rows, in the shape of `rows`; default
                None, 1.
        """
        if not self._accumulates():
            self.grad[...] = 0.0
        if rows.ndim == 3:
            xp, (R, K, N) = xp_of(gradients), rows.shape
            factors = (rows >= 0) * (1.0 if coefficients is None else coefficients)
            gradients = (gradients[:, None] * factors[..., None]).astype(gradients.dtype).reshape(R, K * N, -1)
            rows = xp.maximum(rows, 0).reshape(R, K * N)
        add_rows(self.grad, rows, gradients)

    def _accumulates(self) -> bool:
        """Return whether the next gradient is added to the current one, and note that there is one."""
        before, self.has_gradient = self.has_gradient, self.is_shared
        return before


class SparseParameter(Parameter):
    """A trainable table (R, V, F) of which a step reads a few rows: its gradient is kept for these rows alone.

    Optimizers, clipping, L2 regularization and weight decay then act on the rows that the latest batch has read, and
    leave all others, with their moments, as they are: a step costs as much as the rows that it reads, whatever the size
    of the table. Where a batch reads every row, the update is that of a dense Parameter; elsewhere it is not, as with
    SparseAdam of PyTorch and LazyAdam of TensorFlow.

    Args:
        value: The initial value (R, V, F).
        apply_weight_decay: Whether weight decay acts on the rows that a batch reads; default True.

    Example:
        >>> from searchlab.nn import SparseParameter
        >>> import numpy as np
        >>> table = SparseParameter(np.zeros((1, 4, 2)))
        >>> table.add_gradient_rows(np.array([[3, 1, 3]]), np.ones((1, 3, 2)))
        >>> (touched,) = table.touched()  # one entry for each replica
        >>> touched.rows.tolist(), touched.values.tolist()
        ([1, 3], [[1.0, 1.0], [2.0, 2.0]])
    """

    def __init__(self, value: Array, *, apply_weight_decay: bool = True) -> None:
        if value.ndim != 3:
            raise ValueError(f"a sparse parameter is a table (R, V, F), not {value.shape}")
        self.value, self.apply_weight_decay, self.trainable = value, apply_weight_decay, True
        self.is_shared = self.has_gradient = False
        self._added: list[AddedRows] = []
        self._touched: list[RowGradients] | None = None  # the sums, once they are needed

    @property
    def grad(self) -> Array:
        """The gradient (R, V, F) as a dense array, made for this call."""
        return to_dense(self.touched(), self.value)

    def add_gradient(self, gradient: Array) -> None:
        """Refuse a gradient of all rows: it would make every step as slow as that of a dense parameter."""
        raise TypeError("a sparse parameter takes gradients of rows; use a Parameter for gradients of the whole table")

    def add_gradient_product(self, a: Array, b: Array) -> None:
        """Refuse a gradient of all rows."""
        self.add_gradient(a)

    def add_gradient_rows(self, rows: Array, gradients: Array, coefficients: Array | None = None) -> None:
        if not self._accumulates():
            self.reset_gradient()
        if rows.ndim == 2:
            rows, coefficients = rows[:, None], None if coefficients is None else coefficients[:, None]
        self._added.append((rows, coefficients, gradients))
        self._touched = None

    def touched(self) -> list[RowGradients]:
        """Return the rows that the current backward pass has touched, each with the sum of its gradients."""
        if self._touched is None:
            self._touched = sum_by_row(self._added, self.value)
        return self._touched

    def reset_gradient(self) -> None:
        """Forget the gradients of the backward pass before."""
        self._added, self._touched = [], None

    def add_l2_gradient(self, l2: Array) -> None:
        """Add the gradient of l2 (R,) / 2 times the sum of squares of the touched rows, where weight decay acts."""
        for part in self.touched() if self.apply_weight_decay else ():
            part.values += part.of_replica(l2) * part.read(self.value)


class Parameters(HasReplicaAxis):
    """All parameters of a model as two arrays (R, P), values and gradients; each Parameter becomes a view of them.

    An optimizer then needs one pass over one array, whatever the number of layers: few calls on a CPU, few kernel
    launches on a GPU. Removing replicas is one row selection. Parameters that are not trainable stay arrays of their
    own, in `buffers`. The values of each `SparseParameter` are the last columns, and its gradient is kept by row.

    Args:
        named_parameters: Names and parameters, as `Module.named_parameters` returns them.

    Attributes:
        values: All trainable values (R, P), first those of dense parameters.
        grads: The gradients of dense parameters (R, D); D is P where no parameter is sparse.
        decay_mask: 1 where weight decay acts and 0 elsewhere (1, P).
        trainable: The trainable parameters by name, each shared one once, in the order of their values.
        sparse: Those of them that are sparse, each with the columns of its values.
        buffers: The parameters that are not trainable, by name.

    Raises:
        ValueError: When no parameter is trainable.

    Example:
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> parameters = Parameters(Affine(Replicas([1, 2]), 4, 3).named_parameters())
        >>> parameters.count, parameters.values.shape, list(parameters.trainable)
        (15, (2, 15), ['W', 'b'])
    """

    def __init__(self, named_parameters: list[tuple[str, Parameter]]) -> None:
        self.trainable: dict[str, Parameter] = {}
        self.buffers: dict[str, Parameter] = {}
        for name, parameter in named_parameters:
            group = self.trainable if parameter.trainable else self.buffers
            if any(parameter is known for known in group.values()):
                parameter.is_shared = True
            else:
                group[name] = parameter
        if not self.trainable:
            raise ValueError("the model has no parameters: store each Parameter in an attribute, a list or a layer")
        # dense parameters first; the sort is stable
        self.trainable = dict(sorted(self.trainable.items(), key=lambda item: isinstance(item[1], SparseParameter)))
        self._shared = [parameter for parameter in self.trainable.values() if parameter.is_shared]
        flat_values = [p.value.reshape(len(p.value), -1) for p in self.trainable.values()]
        self._shapes = [p.value.shape[1:] for p in self.trainable.values()]
        self._sizes = [flat.shape[1] for flat in flat_values]
        xp = xp_of(flat_values[0])
        self.values: Array = xp.concatenate(flat_values, axis=1)  # (R, P)
        stops = np.cumsum(self._sizes).tolist()
        self.sparse: list[tuple[SparseParameter, slice]] = [
            (parameter, slice(stop - size, stop))
            for parameter, size, stop in zip(self.trainable.values(), self._sizes, stops, strict=True)
            if isinstance(parameter, SparseParameter)
        ]
        dense = self.sparse[0][1].start if self.sparse else stops[-1]
        self.grads: Array = xp.zeros_like(self.values[:, :dense])  # (R, D)
        self.decay_mask: Array = xp.concatenate(
            [
                xp.full((1, size), parameter.apply_weight_decay, flat.dtype)
                for flat, size, parameter in zip(flat_values, self._sizes, self.trainable.values(), strict=True)
            ],
            axis=1,
        )  # (1, P)
        self._bind_views()

    @property
    def count(self) -> int:
        """The number of trainable parameters of one replica, P."""
        return int(self.values.shape[1])

    def reset_gradients(self) -> None:
        """Let the next gradient of each parameter replace the old one; call it before each backward pass."""
        for parameter in self._shared:
            parameter.has_gradient = False
        for sparse, _ in self.sparse:
            sparse.reset_gradient()

    def add_l2_gradient(self, l2: Array) -> None:
        """Add the gradient of l2 / 2 times the sum of squares, for the parameters on which weight decay acts.

        Args:
            l2: One coefficient per replica (R,).
        """
        for parameter in self.trainable.values():
            if isinstance(parameter, SparseParameter):
                parameter.add_l2_gradient(l2)
            elif parameter.apply_weight_decay:
                parameter.grad += align(l2, parameter.value) * parameter.value

    def _select_own(self, rows: Array) -> None:
        """Select these rows, and let every Parameter be a view of the new arrays."""
        self.values, self.grads = select_rows(self.values, rows), select_rows(self.grads, rows)
        for parameter in self.buffers.values():
            parameter.value = select_rows(parameter.value, rows)
        self._bind_views()

    def state(self) -> dict[str, Array]:
        """Return a copy of every parameter on the host, by name: (R, ...) each."""
        return {name: to_host(parameter.value).copy() for name, parameter in self._all().items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Take the values of `state`.

        Args:
            state: Arrays (R, ...) by name, as `state` returns them.

        Raises:
            ValueError: When a name or a shape differs from those of this model.
        """
        if set(state) != set(self._all()):
            raise ValueError(f"expected the parameters {sorted(self._all())}; got {sorted(state)}")
        for name, parameter in self._all().items():
            shape, saved = parameter.value.shape, state[name]
            if saved.shape != shape:
                raise ValueError(f"{name} has shape {shape} here and {saved.shape} in the saved state")
            parameter.value[...] = to_device_of(parameter.value, saved.astype(parameter.value.dtype))

    def _all(self) -> dict[str, Parameter]:
        return self.trainable | self.buffers

    def _bind_views(self) -> None:
        stops = np.cumsum(self._sizes)
        for parameter, shape, size, stop in zip(self.trainable.values(), self._shapes, self._sizes, stops, strict=True):
            parameter.value = self.values[:, stop - size : stop].reshape(len(self.values), *shape)
            if isinstance(parameter, SparseParameter):
                parameter.reset_gradient()
            else:
                parameter.grad = self.grads[:, stop - size : stop].reshape(len(self.grads), *shape)

"""CuPy's rules without a GPU: arrays of the host behind a wall that shows what a device would refuse or wait for.

Not a device array: it mixes with no host array, NumPy's functions refuse it, and it is never asked for a Python number,
which would stop a GPU in the middle of a step. Only `asnumpy` reads it. A number of no dimension must not widen the
array it meets: CuPy 14 would, as NumPy 2 does, and CuPy 13 would not. A function that the library newly needs is added
below once CuPy's reference has been looked up for it.
"""

from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
from numpy import float32, float64, int64, intp, uint16, uint32

__all__ = ["float32", "float64", "int64", "intp", "uint16", "uint32"]

moved = Counter()  # how many arrays went "to the device" and "to the host"
cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1))

PLAIN = (bool, int, float)
ELEMENTWISE = "abs add cos divide exp floor log log1p maximum minimum multiply sin sqrt subtract tanh where matmul"
OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "mod",
    "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift",
    "rshift": "right_shift", "matmul": "matmul",
}  # fmt: skip
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
ASKS = ("bool", "int", "float", "index", "complex", "iter", "contains")


class ndarray:
    """An array of the device."""

    __array_ufunc__ = None  # NumPy's operators give way to those below, its functions raise TypeError
    __hash__ = None

    def __init__(self, held):
        self._held = held

    shape = property(lambda self: self._held.shape)
    ndim = property(lambda self: self._held.ndim)
    size = property(lambda self: self._held.size)
    dtype = property(lambda self: self._held.dtype)
    T = property(lambda self: ndarray(self._held.T))

    def __len__(self):
        return len(self._held)

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion of a device array to a NumPy array")

    def __array_function__(self, function, *_):
        raise TypeError(f"numpy.{function.__name__} of a device array")

    def __getitem__(self, index):
        return ndarray(np.asarray(self._held[_index(index)]))

    def __setitem__(self, index, value):
        self._held[_index(index)] = _operand(value)

    def __neg__(self):
        return _call(np.negative, self)

    def __invert__(self):
        return _call(np.invert, self)

    def reshape(self, *shape):
        return ndarray(self._held.reshape(*shape))

    def swapaxes(self, one, other):
        return ndarray(self._held.swapaxes(one, other))

    def view(self, dtype):
        return ndarray(self._held.view(dtype))

    def copy(self):
        return ndarray(self._held.copy())

    def astype(self, dtype):
        with np.errstate(all="ignore"):
            return ndarray(self._held.astype(dtype, order="C"))

    def take(self, indices, axis=None):
        return ndarray(self._held.take(_index(indices), axis=axis))

    def _reduced(self, name, axis=None, keepdims=False):
        with np.errstate(all="ignore"):
            return ndarray(np.asarray(getattr(self._held, name)(axis=axis, keepdims=keepdims)))


def _operand(value):
    if isinstance(value, ndarray):
        return value._held
    if isinstance(value, np.generic) or type(value) in PLAIN:
        return value
    raise TypeError(f"a device array meets a {type(value).__name__}")


def _index(index):
    if isinstance(index, tuple):
        return tuple(_index(one) for one in index)
    if isinstance(index, ndarray) and index.dtype.kind in "iu":
        return index._held
    if index is None or index is Ellipsis or isinstance(index, (int, np.integer, slice)):
        return index
    raise TypeError(f"a device array is indexed by a {type(index).__name__} of the host, or by a mask")


def _call(function, *arguments, out=None):
    given = [_operand(argument) for argument in arguments]
    dtypes = [value.dtype for value in given if type(value) not in PLAIN and value.ndim]
    if dtypes:
        wide, wider = np.result_type(*dtypes), np.result_type(*(v.dtype for v in given if type(v) not in PLAIN))
        if wide != wider:
            raise TypeError(f"{wide} meets {wider} of no dimension, which CuPy 13 and 14 promote differently")
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"out is a {type(out).__name__}")
    with np.errstate(all="ignore"):
        if out is None:
            return ndarray(np.asarray(function(*given), order="C"))
        function(*given, out=out._held)
        return out


def _ask(what, self, *_):
    raise TypeError(f"a device array is asked for its {what}: the host would wait for the device")


def _method(call, *fixed):
    return lambda self, *arguments, **named: call(*fixed, self, *arguments, **named)


for short, long in OPERATORS.items():
    ufunc = getattr(np, long)
    setattr(ndarray, f"__{short}__", _method(_call, ufunc))
    setattr(ndarray, f"__r{short}__", lambda self, other, ufunc=ufunc: _call(ufunc, other, self))
    setattr(ndarray, f"__i{short}__", lambda self, other, ufunc=ufunc: _call(ufunc, self, other, out=self))
for short, long in COMPARISONS.items():
    setattr(ndarray, f"__{short}__", _method(_call, getattr(np, long)))
for name in ASKS:
    setattr(ndarray, f"__{name}__", _method(_ask, name))
for name in ("item", "tolist", "get"):
    setattr(ndarray, name, _method(_ask, name))
for name in ("sum", "mean", "max", "min", "argmax", "any", "all"):
    setattr(ndarray, name, lambda self, name=name, **named: self._reduced(name, **named))
globals().update({name: partial(_call, getattr(np, name)) for name in ELEMENTWISE.split()})


def asarray(array):
    """The array on the device: itself, or a copy of a host array."""
    if isinstance(array, ndarray):
        return array
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a {type(array).__name__} goes to the device")
    moved["to the device"] += 1
    return ndarray(array.copy())


def asnumpy(array):
    """A copy on the host, for which the host waits."""
    moved["to the host"] += 1
    return array._held.copy()


class _Ufunc:
    """An elementwise function that also knows `at`."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments, **named):
        return _call(self.function, *arguments, **named)

    def at(self, array, indices, values):
        """In place and unbuffered, for whole numbers of the device as indices: a position named twice counts twice."""
        if _operand(array).dtype != _operand(values).dtype:
            raise TypeError(f"{values.dtype} is added to {array.dtype}")
        with np.errstate(all="ignore"):
            self.function.at(array._held, _index(indices), values._held)


add = _Ufunc(np.add)


def take(array, indices, axis=None, out=None):
    """As cupy.take: whatever lies outside the array wraps around, and out has the array's dtype and the right shape."""
    if out is None:
        return array.take(indices, axis=axis)
    if out.dtype != array.dtype:
        raise TypeError("Output dtype mismatch")
    out._held[...] = array._held.take(_index(indices), axis=axis, mode="wrap")
    return out


def empty(shape, dtype):
    """What lies in new memory is unknown: here NaN, so that whoever reads it is found out."""
    made = np.empty(shape, dtype)
    made[...] = np.nan if made.dtype.kind == "f" else 77
    return ndarray(made)


def zeros(shape, dtype):
    return ndarray(np.zeros(shape, dtype))


def ones(shape, dtype):
    return ndarray(np.ones(shape, dtype))


def full(shape, value, dtype):
    return ndarray(np.full(shape, _operand(value), dtype))


def zeros_like(array):
    return ndarray(np.zeros_like(array._held))


def arange(length):
    return ndarray(np.arange(length))


def ascontiguousarray(array):
    return ndarray(np.ascontiguousarray(array._held))


def searchsorted(sorted_array, values, side="left"):
    return ndarray(np.searchsorted(sorted_array._held, values._held, side=side))


def concatenate(arrays, axis=0):
    return ndarray(np.concatenate([array._held for array in arrays], axis=axis))


def stack(arrays, axis=0):
    return ndarray(np.stack([array._held for array in arrays], axis=axis))

"""CuPy's rules without a GPU: a wrapper of host arrays that raises where a device would raise or wait.

A wrapped array cannot be combined with a host array, NumPy's functions reject it, and it cannot be converted to a
Python number, which would make the host wait for a GPU in the middle of a step. Only `asnumpy` reads it. A
zero-dimensional array must not widen the dtype of the array that it is combined with: CuPy 14 would, as NumPy 2 does,
and CuPy 13 would not. Before the library uses a further function of CuPy, look it up in CuPy's reference and add it.
"""

from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
from numpy import float32, float64, inf, int64, intp, uint16, uint32

__all__ = ["float32", "float64", "inf", "int64", "intp", "uint16", "uint32"]

transfers = Counter()  # how many arrays went "to_device" and "to_host"
cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1))

PYTHON_NUMBERS = (bool, int, float)
FUNCTIONS = "abs add cos divide exp floor log log1p maximum minimum multiply sin sqrt subtract tanh where matmul"
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
CONVERSIONS = ("bool", "int", "float", "index", "complex", "iter", "contains")


class ndarray:
    """An array of the device."""

    __array_ufunc__ = None  # NumPy's operators defer to those below, and its functions raise TypeError
    __hash__ = None

    def __init__(self, array):
        self._array = array

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    dtype = property(lambda self: self._array.dtype)
    T = property(lambda self: ndarray(self._array.T))

    def __len__(self):
        return len(self._array)

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion of a device array to a NumPy array")

    def __array_function__(self, function, *_):
        raise TypeError(f"numpy.{function.__name__} of a device array")

    def __getitem__(self, index):
        return ndarray(np.asarray(self._array[_index(index)]))

    def __setitem__(self, index, value):
        self._array[_index(index)] = _operand(value)

    def __neg__(self):
        return _call(np.negative, self)

    def __invert__(self):
        return _call(np.invert, self)

    def reshape(self, *shape):
        return ndarray(self._array.reshape(*shape))

    def swapaxes(self, one, other):
        return ndarray(self._array.swapaxes(one, other))

    def transpose(self, *axes):
        return ndarray(self._array.transpose(*axes))

    def cumsum(self, axis):
        return ndarray(self._array.cumsum(axis=axis))

    def view(self, dtype):
        return ndarray(self._array.view(dtype))

    def copy(self):
        return ndarray(self._array.copy())

    def astype(self, dtype):
        with np.errstate(all="ignore"):
            return ndarray(self._array.astype(dtype, order="C"))

    def take(self, indices, axis=None):
        return ndarray(self._array.take(_index(indices), axis=axis))

    def _reduce(self, name, axis=None, keepdims=False):
        with np.errstate(all="ignore"):
            return ndarray(np.asarray(getattr(self._array, name)(axis=axis, keepdims=keepdims)))


def _operand(value):
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.generic) or type(value) in PYTHON_NUMBERS:
        return value
    raise TypeError(f"a device array is combined with a {type(value).__name__}")


def _index(index):
    if isinstance(index, tuple):
        return tuple(_index(item) for item in index)
    if isinstance(index, ndarray) and index.dtype.kind in "iu":
        return index._array
    if index is None or index is Ellipsis or isinstance(index, (int, np.integer, slice)):
        return index
    raise TypeError(f"a device array is indexed by a {type(index).__name__} of the host, or by a mask")


def _call(function, *arguments, out=None):
    operands = [_operand(argument) for argument in arguments]
    arrays = [operand for operand in operands if type(operand) not in PYTHON_NUMBERS]
    dtypes = [array.dtype for array in arrays if array.ndim]
    if dtypes:
        expected, promoted = np.result_type(*dtypes), np.result_type(*(array.dtype for array in arrays))
        if expected != promoted:
            raise TypeError(f"{expected} with a zero-dimensional {promoted}: CuPy 13 and 14 promote them differently")
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"out is a {type(out).__name__}")
    with np.errstate(all="ignore"):
        if out is None:
            return ndarray(np.asarray(function(*operands), order="C"))
        function(*operands, out=out._array)
        return out


def _refuse(conversion, self, *_):
    raise TypeError(f"{conversion} of a device array: the host would wait for the device")


def _method(function, *first):
    return lambda self, *arguments, **keywords: function(*first, self, *arguments, **keywords)


for short, long in OPERATORS.items():
    ufunc = getattr(np, long)
    setattr(ndarray, f"__{short}__", _method(_call, ufunc))
    setattr(ndarray, f"__r{short}__", lambda self, other, ufunc=ufunc: _call(ufunc, other, self))
    setattr(ndarray, f"__i{short}__", lambda self, other, ufunc=ufunc: _call(ufunc, self, other, out=self))
for short, long in COMPARISONS.items():
    setattr(ndarray, f"__{short}__", _method(_call, getattr(np, long)))
for name in CONVERSIONS:
    setattr(ndarray, f"__{name}__", _method(_refuse, name))
for name in ("item", "tolist", "get"):
    setattr(ndarray, name, _method(_refuse, name))
for name in ("sum", "mean", "max", "min", "argmax", "any", "all"):
    setattr(ndarray, name, lambda self, name=name, **keywords: self._reduce(name, **keywords))
globals().update({name: partial(_call, getattr(np, name)) for name in FUNCTIONS.split()})


def asarray(array):
    """Return the array on the device: itself, or a copy of a host array."""
    if isinstance(array, ndarray):
        return array
    if not isinstance(array, np.ndarray):
        raise TypeError(f"asarray needs an array, and got a {type(array).__name__}")
    transfers["to_device"] += 1
    return ndarray(array.copy())


def asnumpy(array):
    """Return a copy on the host, which waits for the device."""
    transfers["to_host"] += 1
    return array._array.copy()


class _Ufunc:
    """An elementwise function with the method `at`."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments, **keywords):
        return _call(self.function, *arguments, **keywords)

    def at(self, array, indices, values):
        """Add in place and unbuffered at integer device indices: a repeated position receives every value."""
        if _operand(array).dtype != _operand(values).dtype:
            raise TypeError(f"{values.dtype} is added to {array.dtype}")
        with np.errstate(all="ignore"):
            self.function.at(array._array, _index(indices), values._array)


add = _Ufunc(np.add)


class ElementwiseKernel:
    """An operation in the C++ of CuPy, whose statements are expressions that Python reads too.

    Statements follow one another for each element, as on the device: an output that is the same array as an input
    changes what later statements read.
    """

    def __init__(self, in_params, out_params, operation, name):
        self.inputs, self.outputs = (
            [self._name(each) for each in text.split(", ")] for text in (in_params, out_params)
        )
        self.statements = [line.removesuffix(";").split(" = ") for line in operation.strip().splitlines()]
        assert operation.strip().count(";") == len(self.statements)
        assert [name for name, _ in self.statements] == self.outputs  # each is written once, and in order
        assert name.isidentifier()

    @staticmethod
    def _name(parameter):
        kind, name = parameter.split()
        if kind != "T" or name in ("i", "n") or name.startswith("_"):
            raise ValueError(f"CuPy reserves the name of {parameter!r}, or its type is unknown")
        return name

    def __call__(self, *arguments):
        if len(arguments) != len(self.inputs) + len(self.outputs):
            raise TypeError(f"Wrong number of arguments: {len(arguments)}")
        if len({(_operand(array).dtype, array.shape) for array in arguments}) != 1:
            raise TypeError("the arrays of an operation have several dtypes or shapes")
        values = dict(zip([*self.inputs, *self.outputs], (array._array for array in arguments), strict=True))
        symbols = {"T": arguments[0].dtype.type, "tanh": np.tanh, "__builtins__": {}}
        with np.errstate(all="ignore"):
            for name, expression in self.statements:
                values[name][...] = eval(expression, symbols, values)  # noqa: S307, the library's own text


def take(array, indices, axis=None, out=None):
    """Take as cupy.take does: indices outside the array wrap around, and out must have the array's dtype."""
    if out is None:
        return array.take(indices, axis=axis)
    if out.dtype != array.dtype:
        raise TypeError("Output dtype mismatch")
    out._array[...] = array._array.take(_index(indices), axis=axis, mode="wrap")
    return out


def empty(shape, dtype):
    """Return new memory filled with NaN (77 for integers), so that code that reads it before writing is detected."""
    array = np.empty(shape, dtype)
    array[...] = np.nan if array.dtype.kind == "f" else 77
    return ndarray(array)


def zeros(shape, dtype):
    return ndarray(np.zeros(shape, dtype))


def ones(shape, dtype):
    return ndarray(np.ones(shape, dtype))


def full(shape, value, dtype):
    return ndarray(np.full(shape, _operand(value), dtype))


def full_like(array, value):
    return ndarray(np.full_like(array._array, _operand(value)))


def zeros_like(array):
    return ndarray(np.zeros_like(array._array))


def arange(length):
    return ndarray(np.arange(length))


def ascontiguousarray(array):
    return ndarray(np.ascontiguousarray(array._array))


def searchsorted(sorted_array, values, side="left"):
    return ndarray(np.searchsorted(sorted_array._array, values._array, side=side))


def concatenate(arrays, axis=0):
    return ndarray(np.concatenate([array._array for array in arrays], axis=axis))


def take_along_axis(array, indices, axis):
    return ndarray(np.take_along_axis(array._array, _index(indices), axis=axis))


def broadcast_to(array, shape):
    return ndarray(np.broadcast_to(array._array, shape))


def repeat(array, repeats, axis=None):
    return ndarray(np.repeat(array._array, repeats, axis=axis))


def stack(arrays, axis=0):
    return ndarray(np.stack([array._array for array in arrays], axis=axis))

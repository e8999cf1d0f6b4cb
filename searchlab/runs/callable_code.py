"""Hashes of functions and classes that no source file of a project holds, as those of a notebook."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cached_property, partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from searchlab.runs.source_files import is_project_module
from searchlab.space.fingerprint import to_json_value

HAS_DOCSTRING = 0x4000000  # flag of code objects since Python 3.13
SCALARS = (bool, int, float, complex, str, bytes, type(None), type(...))
NOT_CODE = {  # attributes that every class has, and that say nothing about what it does
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__static_attributes__",
    "__weakref__",
}
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}:"  # compiled code differs between versions


def hash_callable(target: Any) -> str:
    """Return a hash of a function's or class's compiled code, constants and defaults, and of what it uses beside it.

    File names and line numbers do not count. It begins with the version of Python.
    """
    return PYTHON + hashlib.sha256(_text(target, set()).encode()).hexdigest()


def is_comparable(first: str, second: str) -> bool:
    """Return whether two hashes are both of source files, or both of code that one version of Python compiled."""
    return first.rpartition(":")[0] == second.rpartition(":")[0]


def _text(value: Any, seen: set[int]) -> str:
    """Return text that differs where the code differs; an object without code or value is named by its type."""
    if isinstance(value, SCALARS):
        return repr(value)
    if isinstance(value, CodeType):
        return _code_text(value, seen)
    if isinstance(value, np.ndarray):
        return str(to_json_value(value))
    if isinstance(value, Mapping):
        return f"{{{sorted((_text(key, seen), _text(inner, seen)) for key, inner in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"set({sorted(_text(item, seen) for item in value)})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({[_text(item, seen) for item in value]})"
    return _object_text(value, seen)


def _object_text(value: Any, seen: set[int]) -> str:
    if isinstance(value, partial):
        return f"partial({_text((value.func, value.args, value.keywords), seen)})"
    if isinstance(value, property):
        return f"property({_text((value.fget, value.fset, value.fdel), seen)})"
    if isinstance(value, (staticmethod, classmethod, cached_property)):
        inner = value.func if isinstance(value, cached_property) else value.__func__
        return f"{type(value).__name__}({_text(inner, seen)})"
    name = f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', type(value).__qualname__)}"
    if id(value) in seen or not is_project_module(str(getattr(value, "__module__", None) or "builtins")):
        return name.partition(":")[2] if id(value) in seen else name
    seen.add(id(value))
    if isinstance(value, FunctionType):
        return _function_text(value, seen)
    if isinstance(value, type):
        members = {key: member for key, member in vars(value).items() if key not in NOT_CODE}
        return f"class({_text((value.__bases__, members), seen)})"
    return _text(value.__wrapped__, seen) if hasattr(value, "__wrapped__") else name


def _function_text(function: FunctionType, seen: set[int]) -> str:
    cells = [_cell_content(cell) for cell in function.__closure__ or ()]
    names = () if _is_in_a_file(function.__module__) else _names(function.__code__)
    used = {name: function.__globals__[name] for name in names if name in function.__globals__}
    return f"def({_text((function.__code__, function.__defaults__, function.__kwdefaults__, cells, used), seen)})"


def _is_in_a_file(module: str) -> bool:
    """Return whether a source file, which is hashed as a whole, holds the globals of this module."""
    return module != "__main__" and bool(getattr(sys.modules.get(module), "__file__", None))


def _cell_content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the variable has no value yet
        return None


def _names(code: CodeType) -> set[str]:
    """Return the names of globals that the code, or code inside it, may use."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _code_text(code: CodeType, seen: set[int]) -> str:
    constants = list(code.co_consts)
    if _has_docstring(code):
        constants[0] = None
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return f"code({code.co_code.hex()}, {arguments}, {names}, {_text(constants, seen)})"


def _has_docstring(code: CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & HAS_DOCSTRING)
    # before, the first constant of a function is its docstring or None; those of lambdas and comprehensions are not
    return bool(code.co_consts) and isinstance(code.co_consts[0], str) and not code.co_name.startswith("<")

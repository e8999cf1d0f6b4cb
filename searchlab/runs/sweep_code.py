"""The code of a sweep as hashes by file: of every project module that it imports, and of the functions it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.project import current_project, import_folder, project_root
from searchlab.runs.callable_code import hash_callable, is_comparable
from searchlab.runs.source_files import (
    find_source,
    hash_imports,
    hash_source,
    imported_modules,
    is_project_module,
    read_source,
)
from searchlab.space.domains import Choice
from searchlab.space.space import Space
from searchlab.space.sweep import Sweep

SWEEP_FILE = "sweep file"  # key of the sweep file, whose path may change
NOT_CODE = ("name", "trials", "budget", "resources", "enqueue", "callbacks")


def hash_code(sweep: Sweep, spec: Path | None, root: Path | None = None) -> dict[str, str]:
    """Return a hash for each source file and function that a sweep consists of, by name.

    Args:
        sweep: The sweep.
        spec: Its file, where it was loaded from one.
        root: Root of its project; default: that of the sweep file, or that of its classes.
    """
    root = root or (project_root(spec) if spec else root_of(sweep))
    hashes, modules = dict[str, str](), set[str]()
    content = read_source(spec) if spec else None
    if content is not None:
        hashes[SWEEP_FILE] = hash_source(content)
        modules |= set(imported_modules(content, ""))
    for part, target in _targets(sweep):
        if isinstance(target, FunctionType):
            hashes[f"{part}: {target.__qualname__}"] = hash_callable(target)
        elif find_source(target.__module__, root) is None:
            hashes[f"{part}: class {target.__qualname__}"] = hash_callable(target)
        if content is None or not target.__module__.startswith(SWEEP_FILE_PREFIX):
            modules.add(target.__module__)
    return hash_imports(modules, root) | hashes


def root_of(sweep: Sweep) -> Path:
    """Return the root of the project of a sweep that comes from no file: the folder that its classes are imported from.

    Where they come from the current project or from the notebook itself, it is the current project.
    """
    here = current_project()
    modules = dict.fromkeys(target.__module__ for _, target in _targets(sweep))
    folders = [folder for folder in map(import_folder, modules) if folder is not None]
    return here if not folders or any(folder.is_relative_to(here) for folder in folders) else folders[0]


def changed_code(stored: Mapping[str, str], now: Mapping[str, str], root: Path) -> list[str]:
    """Return the names of the files and functions that differ from what is stored; a file that is gone differs."""
    names = [name for name in now if name not in stored and (root / name).is_file()]  # imported now
    for name, hashed in stored.items():
        content = read_source(root / name) if name not in now else None
        current = now.get(name) or (hash_source(content) if content is not None else None)
        if current is None or (current != hashed and is_comparable(current, hashed)):
            names.append(name if current else f"{name} (missing)")
    return sorted(names)


def _targets(sweep: Sweep) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes of the project that a sweep's values are or are made by, each with its part."""
    for field in fields(sweep):
        if field.name not in NOT_CODE:
            for target in _callables(getattr(sweep, field.name), set()):
                if is_project_module(target.__module__):
                    yield field.name, target


def _callables(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield every function, and every class with its bases, in a value; `seen` are ids of values that hold others."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, type):
        yield from (kind for kind in value.__mro__ if kind is not object)
    elif id(value) not in seen:
        seen.add(id(value))
        if is_project_module(type(value).__module__):
            yield from _callables(type(value), seen)
        for inner in _parts(value):
            yield from _callables(inner, seen)


def _parts(value: Any) -> Iterable[Any]:
    """Return the values that a value is made of; none for a value of an installed package."""
    if isinstance(value, Space):
        return [value.target, *value.arguments.values()]
    if isinstance(value, Choice):
        return value.options
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return value
    if is_dataclass(value):  # a part of searchlab may hold a function of the project
        return [getattr(value, field.name) for field in fields(value)]
    return list(getattr(value, "__dict__", {}).values()) if is_project_module(type(value).__module__) else []

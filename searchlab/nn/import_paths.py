"""Parts of a model by import path: written into a manifest, and imported again only where they may be."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from searchlab.errors import UserMistake

SWEEP_FILE_PREFIX = "searchlab_sweep_file_"  # of the module names of loaded sweep files
OWN_PACKAGES = ("searchlab.nn", "searchlab.testing")  # the parts of searchlab that a model may be made of


def import_path(target: Any) -> str:
    """Return the path by which a class or function is imported; raise UserMistake where it has none."""
    name = getattr(target, "__qualname__", "")
    if not name or "<" in name:  # a lambda, one made inside a function, or an object that is called
        what = name or f"an object of type {type(target).__name__}"
        raise UserMistake(
            f"an artifact stores the parts of a model by import path, and {what} has none; "
            "define it with def or class at the top level of a module."
        )
    return f"{target.__module__}:{name}"


def import_part(path: str, allowed: Collection[str]) -> Any:
    """Import a class or function, and nothing of a module that a manifest has no reason to name.

    Args:
        path: What `import_path` returned.
        allowed: Top-level packages that may be imported besides searchlab and the modules of the project.

    Raises:
        UserMistake: When the module is none of these, or has no such class or function of its own.
    """
    module, _, name = path.partition(":")
    if not may_import(module, allowed):
        raise UserMistake(
            f"the manifest names {path}, which is neither a part of a network in searchlab nor in this project; "
            f"where you trust it, allow it: load(folder, allow=[{module.partition('.')[0]!r}])."
        )
    try:
        found: Any = importlib.import_module(module)
        for attribute in name.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        hint = "run from the root of its project"
        if module.startswith(SWEEP_FILE_PREFIX):
            hint = "a sweep file defines it: load that file first, with searchlab.space.loader.load"
        raise UserMistake(f"the artifact needs {path}, which cannot be imported ({error}); {hint}.") from error
    # what a module has imported from elsewhere, as `os.system`, is not its own
    if not callable(found) or getattr(found, "__module__", None) != module or found.__qualname__ != name:
        raise UserMistake(f"the manifest names {path}, which is no class or function of that module.")
    return found


def may_import(module: str, allowed: Collection[str]) -> bool:
    """Return whether a manifest may name this module; nothing is imported to find out."""
    top = module.partition(".")[0]
    if module.startswith(SWEEP_FILE_PREFIX) or module == "__main__" or top in allowed:
        return True
    if top == "searchlab":
        return any(module == package or module.startswith(f"{package}.") for package in OWN_PACKAGES)
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return False
    spec = importlib.util.find_spec(top) if top.isidentifier() else None
    if spec is None:
        return True  # the import says what is missing
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    installed = [Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")]
    return not any(Path(place).resolve().is_relative_to(folder) for place in places for folder in installed)


def encode_parts(value: Any) -> Any:
    """Return a JSON value; classes and functions become {"import": path}, with the arguments of a `partial`."""
    if isinstance(value, dict):
        return {name: encode_parts(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode_parts(item) for item in value]
    if isinstance(value, partial):
        first = {"first": encode_parts(value.args)} if value.args else {}
        return {"import": import_path(value.func), "with": encode_parts(value.keywords), **first}
    if callable(value):
        return {"import": import_path(value)}
    return value.item() if hasattr(value, "item") else value


def decode_parts(value: Any, allowed: Collection[str]) -> Any:
    """Return what `encode_parts` was given; raise UserMistake for a part that may not be imported."""
    if isinstance(value, dict) and "import" in value:
        found = import_part(value["import"], allowed)
        if "with" not in value:
            return found
        return partial(found, *decode_parts(value.get("first", []), allowed), **decode_parts(value["with"], allowed))
    if isinstance(value, dict):
        return {name: decode_parts(item, allowed) for name, item in value.items()}
    return [decode_parts(item, allowed) for item in value] if isinstance(value, list) else value

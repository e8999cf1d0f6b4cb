"""The source files that a module imports, of the user's project alone, and their hashes without comments and layout."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.project import is_project_file

NOT_SEARCHED = {"name", "trials", "budget", "resources", "winner"}  # of a Sweep: what a resumed sweep may change
NO_PYTHON = (SyntaxError, ValueError, RecursionError)  # of a file for another version of Python
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def find_source(module: str, root: Path) -> Path | None:
    """Return the source file of a module of the project at `root`; None for any other module.

    A module that is not below the root, as one of PYTHONPATH, counts where it is loaded and not installed.
    """
    top, *rest = module.split(".")
    if top in ("searchlab", "__main__") or not top:
        return None
    folder = root.joinpath(top, *rest)
    for path in (folder / "__init__.py", folder.with_name(f"{folder.name}.py")):
        if path.is_file():
            return path
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file) if file and file.endswith(".py") and is_project_module(module) else None


def is_project_module(module: str) -> bool:
    """Return whether a module, as far as it is loaded, is neither searchlab nor installed nor Python's own."""
    top = module.partition(".")[0]
    if module == "__main__":
        return True
    if top == "searchlab" or top in sys.builtin_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return top not in sys.modules and top not in sys.stdlib_module_names
    return is_project_file(Path(file))


def key_of(module: str, path: Path) -> str:
    """Return the name of a source file, the same wherever the project lies, such as "models/mlp.py"."""
    if module.startswith(SWEEP_FILE_PREFIX):
        return path.name
    folder = module.replace(".", "/")
    return f"{folder}/__init__.py" if path.name == "__init__.py" else f"{folder}.py"


def hash_imports(modules: Iterable[str], root: Path) -> dict[str, str]:
    """Return the hash of the source of these modules and of all that they import, also inside functions, by key."""
    return {key: hash_source(content) for key, content in read_imports(modules, root).items()}


def read_imports(modules: Iterable[str], root: Path) -> dict[str, bytes]:
    """Return the source of these modules and of all that they import, also inside functions, by key."""
    sources: dict[str, bytes] = {}
    left, known = [name for module in modules for name in _with_parents(module)], set[str]()
    while left:
        module = left.pop()
        if module in known:
            continue
        known.add(module)
        path = find_source(module, root)
        content = read_source(path) if path else None
        if path is None or content is None:
            continue
        sources[key_of(module, path)] = content
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        left += imported_modules(content, package)
    return sources


def read_source(path: Path) -> bytes | None:
    """Return the content of a file; None where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def hash_source(content: bytes) -> str:
    """Return a SHA-256 of what the source does: comments, layout and docstrings do not count.

    Neither do the arguments of a Sweep that a resumed sweep may change, such as `trials`.
    """
    with suppress(*NO_PYTHON):  # then all of it counts
        content = ast.unparse(_Normalized().visit(ast.parse(content))).encode()
    return hashlib.sha256(content).hexdigest()


def imported_modules(content: bytes, package: str) -> list[str]:
    """Return the modules that a source of this package may import, with their parents; none where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except NO_PYTHON:
        return []
    return [name for node in nodes for module in _imports(node, package) for name in _with_parents(module)]


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)  # each may be a module or a name in one
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        literals = [first.value for first in node.args[:1] if isinstance(first, ast.Constant)]
        yield from (value for value in literals if isinstance(value, str))


def _with_parents(module: str) -> list[str]:
    """Return the module and the packages that it is in, which are imported first."""
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts)) if all(parts[: end + 1])]


class _Normalized(ast.NodeTransformer):
    """Removes docstrings, and the arguments of a Sweep that are not searched."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Sweep":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in NOT_SEARCHED]
        return node

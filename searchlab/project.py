"""The user's project: the folder whose models and sweep files belong together, its root, and imports from it."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

from searchlab.errors import UserMistake

ARCHIVE_MARKER = ".searchlab-project.json"  # in the root of a project that was sent to a cluster; holds its provenance
ROOT_MARKERS = ("pyproject.toml", ".git", "models", ARCHIVE_MARKER)  # any of them marks a folder as a project's root
INSTALLED = {"site-packages", "dist-packages"}  # folders of packages that are no part of a project


def project_root(path: Path) -> Path:
    """Return the root of a sweep file's project: the nearest folder above it with a root marker, or its own folder."""
    roots = (folder for folder in path.parents if any((folder / marker).exists() for marker in ROOT_MARKERS))
    return next(roots, path.parent)


def current_project() -> Path:
    """Return the root of the project that the current folder is in, or the current folder."""
    return project_root(Path.cwd() / "file")


def use_project(folder: str | os.PathLike[str] = ".") -> Path:
    """Import from the project that a folder is in, before anything else of the same name, and return its root.

    A script at the root of a project needs no such call. A notebook in a subfolder does, and so does a script there:
    Python looks for imports in their own folder alone.

    Args:
        folder: A folder of the project; default: the current one.

    Raises:
        UserMistake: When a module of the same name as one of the project's has been imported from elsewhere, such as
            from another project: one process imports from one project.

    Example:
        >>> from searchlab import use_project
        >>> root = use_project()
        >>> import sys
        >>> sys.path[0] == str(root)
        True
    """
    root = project_root(Path(folder).expanduser().absolute() / "file")
    import_first_from(root)
    return root


def import_first_from(root: Path) -> None:
    """Put the root of a project first on the import path, so that its modules win over others of the same name.

    A folder without `__init__.py` would lose to a package of the same name that comes later on the path, as `models` of
    a clone of searchlab; it becomes a namespace package here.

    Raises:
        UserMistake: When a module of the same name as one of the project's has been imported from elsewhere.
    """
    for name in _importable(root):
        place = _place_of(name)
        if place is not None and is_project_file(place) and not _has_code_of(place, root, name):
            raise UserMistake(
                f"this process has imported {name!r} from {place}, and the project {root} has other code of that name: "
                "give each project a process or notebook kernel of its own, and in a notebook call "
                "searchlab.use_project() before other imports."
            )
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]
    importlib.invalidate_caches()
    for name in _importable(root):
        spec = PathFinder.find_spec(name) if name not in sys.modules else None
        if spec is not None and spec.origin is not None and (root / name).is_dir():
            place = Path(spec.origin)
            if not place.resolve().is_relative_to((root / name).resolve()) and is_project_file(place):
                _add_namespace(name, root / name)


def import_folder(module: str) -> Path | None:
    """Return the folder of the import path that a module of a project has come from; None for any other module."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or module == "__main__" or not is_project_file(Path(file)):
        return None
    above = Path(file).parents
    return above[module.count(".") + (Path(file).stem == "__init__")]


def is_project_file(path: Path) -> bool:
    """Return whether a source file belongs to neither an installed package nor Python itself."""
    return not INSTALLED.intersection(path.parts) and not path.is_relative_to(sysconfig.get_path("stdlib"))


def _importable(root: Path) -> Iterator[str]:
    """Yield the names by which modules and packages in a folder are imported."""
    try:
        entries = sorted(root.iterdir())
    except OSError:  # the root of another machine
        return
    for entry in entries:
        name = entry.name.removesuffix(".py")
        if name == "searchlab" or not name.isidentifier():
            continue
        if entry.suffix == ".py" or (entry.is_dir() and next(entry.glob("*.py"), None) is not None):
            yield name


def _place_of(name: str) -> Path | None:
    """Return the file of a module that is imported, or the folder of a package; None where it is not, or has none."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file is None:
        return next((Path(folder) for folder in getattr(module, "__path__", ())), None)
    return Path(file).parent if Path(file).stem == "__init__" else Path(file)


def _has_code_of(place: Path, root: Path, name: str) -> bool:
    """Return whether an imported module or package has all files of the project's, as a copy of the project has.

    One that is gone since, as with a folder that was moved, has no other code either.
    """
    if not place.exists():
        return True
    own = root / name if (root / name).is_dir() else root / f"{name}.py"
    pairs = [(own, place)] if own.is_file() else [(file, place / file.relative_to(own)) for file in own.rglob("*.py")]
    return all(twin.is_file() and twin.read_bytes() == file.read_bytes() for file, twin in pairs)


def _add_namespace(name: str, folder: Path) -> None:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[name] = module_from_spec(spec)

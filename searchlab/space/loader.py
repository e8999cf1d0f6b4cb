"""Loading of a sweep file by path, with the root of its project on the import path."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from searchlab.errors import UserMistake, WorldFault
from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.project import import_first_from, project_root
from searchlab.space.misspelled import misspelled_argument
from searchlab.space.sweep import Sweep
from searchlab.wording import suggestion


@dataclass(frozen=True)
class SweepFile:
    """A loaded sweep file.

    Attributes:
        path: Absolute path of the file.
        root: Root folder of its project, from which its imports are resolved.
        sweep: The sweep that the file defines.
    """

    path: Path
    root: Path
    sweep: Sweep


def load(path: Path) -> SweepFile:
    """Load the sweep file at this path.

    Raises:
        UserMistake: When the file does not exist, raises an exception, has no `sweep`, or is of a project whose
            modules this process has imported from elsewhere.
    """
    path = path.expanduser().absolute()
    if not path.is_file():
        raise UserMistake(f"there is no sweep file {path}{_other_files(path)}.")
    root = project_root(path)
    import_first_from(root)
    sweep = getattr(_run_file(path), "sweep", None)
    if not isinstance(sweep, Sweep):
        found = "has no `sweep`" if sweep is None else f"has a `sweep` of type {type(sweep).__name__}"
        raise UserMistake(f"{path} {found}; a sweep file ends in `sweep = Sweep(name=..., ...)`.")
    return SweepFile(path, root, sweep)


def _other_files(path: Path) -> str:
    """Return the file that was probably meant, here or in search_spaces/, and the sweep files beside the path."""
    here = sorted(other for other in path.parent.glob("*.py") if other.name != "__init__.py")
    near = [*here, *Path.cwd().glob("*.py"), *Path.cwd().glob("search_spaces/*.py")]
    by_name = {f"{other.stem}.py": os.path.relpath(other) for other in reversed(near)}
    meant = suggestion(path.name if path.suffix else f"{path.name}.py", by_name, by_name)
    return meant + (f"; its folder has: {', '.join(other.name for other in here)}" if here else "")


def _run_file(path: Path) -> ModuleType:
    """Run the file as a module; raise UserMistake with the line of the file for every exception."""
    name = f"{SWEEP_FILE_PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserMistake(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that the file's own definitions can be found by their module while it runs
    try:
        spec.loader.exec_module(module)
    except (UserMistake, WorldFault) as error:
        raise UserMistake(f"{path.name}{_line_text(error, path)}: {error}") from error
    except Exception as error:
        sentence = misspelled_argument(error) or f"{type(error).__name__}: {error}"
        raise UserMistake(f"{path.name}{_line_text(error, path)}: {sentence}") from error
    return module


def _line_text(error: BaseException, path: Path) -> str:
    """Return the line of the file where the error was raised, as text for a message."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""

"""A sweep file: loaded by path, its project's root put on the import path, its mistakes told in one sentence."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from searchlab.errors import UserMistake, WorldFault
from searchlab.project import root_of
from searchlab.space.sweep import Sweep

MODULE_PREFIX = "searchlab_sweep_file_"  # what a sweep file is called among the loaded modules


@dataclass(frozen=True)
class SweepFile:
    """A loaded sweep file."""

    path: Path
    root: Path
    sweep: Sweep


def load(path: Path) -> SweepFile:
    """Load the sweep file at this path.

    Raises UserMistake when it does not exist, cannot be run, or has no `sweep`.
    """
    path = path.expanduser().absolute()
    if not path.is_file():
        near = ", ".join(sorted(str(p.name) for p in path.parent.glob("*.py") if p.name != "__init__.py"))
        raise UserMistake(f"there is no sweep file {path}" + (f"; that folder has: {near}." if near else "."))
    root = root_of(path)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    name = f"{MODULE_PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserMistake(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what the file defines can be found by the module's name while it is run
    try:
        spec.loader.exec_module(module)
    except (UserMistake, WorldFault) as error:
        raise UserMistake(f"{path.name}{_line(error, path)}: {error}") from error
    except Exception as error:
        raise UserMistake(f"{path.name}{_line(error, path)}: {type(error).__name__}: {error}") from error
    sweep = getattr(module, "sweep", None)
    if not isinstance(sweep, Sweep):
        found = "has no `sweep`" if sweep is None else f"has a `sweep` that is a {type(sweep).__name__}"
        raise UserMistake(f"{path} {found}; a sweep file ends in `sweep = Sweep(name=..., ...)`.")
    return SweepFile(path, root, sweep)


def _line(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""

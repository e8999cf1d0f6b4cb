"""Creation of a project: all of its files are written, or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from searchlab.errors import UserMistake, WorldFault
from searchlab.new_project.data_source import DataSource
from searchlab.new_project.sweep_text import FILE, readme_text, sweep_file_text

PACKAGE = Path(__file__).parent
TEMPLATE = PACKAGE / "template" / "models"  # in a wheel
CLONE = PACKAGE.parents[1] / "models"  # in a clone of searchlab, where nothing is packed
MODELS = ("__init__.py", "mlp.py", "rnn_lm.py")
IGNORED = ".searchlab/\n__pycache__/\n.ipynb_checkpoints/\n"


@dataclass(frozen=True)
class NewProject:
    """A project that was created.

    Attributes:
        folder: Its root.
        files: Its files, relative to the root.
        source: The data set of its first sweep.
    """

    folder: Path
    files: tuple[str, ...]
    source: DataSource


def create_project(folder: str | os.PathLike[str], data: str | None = None, target: str | None = None) -> NewProject:
    """Create a project with networks, a first sweep file and a README, which runs wherever searchlab is installed.

    Args:
        folder: The folder; it may exist, as long as it holds none of the files that are written.
        data: Data for the first sweep: a file, .csv, .tsv, .npz or .txt, or a folder of images or texts; default: the
            digits of scikit-learn.
        target: The column of the file to predict, or the key of an .npz; default: it is guessed.

    Raises:
        UserMistake: When the folder holds a file that would be overwritten, or the data cannot be used.
        WorldFault: When a file cannot be read or written. In all of these cases, nothing was written.

    Example:
        >>> import tempfile
        >>> from searchlab.new_project.create import create_project
        >>> create_project(tempfile.mkdtemp()).files[-1]
        'search_spaces/first.py'
    """
    if target and not data:
        raise UserMistake("--target names a column of a data file; give the file by --data.")
    root = Path(os.path.abspath(Path(folder).expanduser()))
    _require_free(root)
    source = DataSource.of_file(data, target) if data else DataSource.digits()
    files = _files(root, source)
    _require_none(root, files)
    if root.is_dir():
        _write_into(root, files)
    else:
        _write_new(root, files)
    return NewProject(root, tuple(files), source)


def _files(root: Path, source: DataSource) -> dict[str, str]:
    """Return the text of each file of the project by its path."""
    models = TEMPLATE if TEMPLATE.is_dir() else CLONE
    try:
        networks = {f"models/{name}": (models / name).read_text(encoding="utf-8") for name in MODELS}
    except OSError as error:
        raise WorldFault(f"this installation of searchlab lacks {error.filename}; install it again.") from error
    sweep_files = {"search_spaces/__init__.py": "", FILE: sweep_file_text(source, root)}
    return {".gitignore": IGNORED, "README.md": readme_text(root), **networks, **sweep_files}


def _require_free(root: Path) -> None:
    above = next(path for path in (root, *root.parents) if path.exists())
    if not above.is_dir():
        raise UserMistake(f"{above} is a file; name a folder for the project.")


def _require_none(root: Path, files: Mapping[str, str]) -> None:
    """Raise UserMistake where a file that would be written is there, or a file lies where a folder would be."""
    present = [name for name in files if os.path.lexists(root / name)]
    folders = [root / name for name in ("models", "search_spaces")]
    present += [folder.name for folder in folders if os.path.lexists(folder) and not folder.is_dir()]
    if present:
        them = "it" if len(present) == 1 else "them"
        raise UserMistake(
            f"{root} has {', '.join(present)} already, and init overwrites nothing; name another folder, or move "
            f"{them} away."
        )


def _write_new(root: Path, files: Mapping[str, str]) -> None:
    """Write the files into a folder beside the new one, which then gets its name."""
    first = root
    while not first.parent.exists():
        first = first.parent
    part = first.with_name(f".{first.name}.{os.getpid()}.part")
    try:
        _write_all(part / root.relative_to(first), files, [])
        part.rename(first)
    except OSError as error:
        raise _unwritable(root, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_into(root: Path, files: Mapping[str, str]) -> None:
    """Write the files into a folder that exists; where one cannot be written, those before it are removed."""
    written: list[Path] = []
    try:
        _write_all(root, files, written)
    except BaseException as error:
        for path in reversed(written):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        if isinstance(error, OSError):
            raise _unwritable(root, error) from error
        raise


def _write_all(root: Path, files: Mapping[str, str], written: list[Path]) -> None:
    """Write files that are not there, and append each file and folder to those written."""
    for name, text in files.items():
        path = root / name
        missing = [folder for folder in path.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir()
            written.append(folder)
        with path.open("x", encoding="utf-8") as file:
            written.append(path)
            file.write(text)


def _unwritable(root: Path, error: OSError) -> WorldFault:
    return WorldFault(f"{root} cannot be written ({error.strerror or error}); nothing was left there.")

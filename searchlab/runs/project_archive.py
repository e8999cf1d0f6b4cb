"""The project of a sweep as an archive for a cluster, or as a copy in the sweep's folder.

It holds the files below the project's root that git would track, so that whoever continues the sweep trains with the
code that it was started with.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pathspec import GitIgnoreSpec

from searchlab.errors import UserMistake, WorldFault
from searchlab.project import ARCHIVE_MARKER
from searchlab.runs.provenance import git_of
from searchlab.space.byte_size import format_bytes

MAX_BYTES = 50 * 10**6  # of a project: code, not data
FILES_NAMED = 5  # of the largest files, in the error message
EXCLUDED = {".git", ".venv", ".searchlab", "__pycache__", "node_modules"}
SECRETS_PREFIX = ".env"  # of the names of files that hold a cluster's secrets
FILE_TIME = (1980, 1, 1, 0, 0, 0)  # of every packed file: the same project is the same archive, and is sent once

Rules: TypeAlias = Sequence[tuple[PurePosixPath, GitIgnoreSpec]]  # .gitignore files by folder, the outermost first


def files_of(root: Path) -> list[Path]:
    """Return the project's files, relative to its root, sorted, without those that .gitignore or EXCLUDED names."""
    return sorted(_walk(root, PurePosixPath(), []))


def validate_size(root: Path, files: Sequence[Path]) -> None:
    """Raise UserMistake for a project that is larger than code; the message names its largest files."""
    sizes = {path: (root / path).stat().st_size for path in files}
    total = sum(sizes.values())
    if total > MAX_BYTES:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:FILES_NAMED]
        named = ", ".join(f"{path} ({format_bytes(sizes[path])})" for path in largest)
        raise UserMistake(
            f"the project {root} has {format_bytes(total)}, and at most {format_bytes(MAX_BYTES)} are sent; "
            f"the largest files are {named}. Name in .gitignore what is not code; data belongs where every node sees "
            "it, or travels with --ship-data."
        )


def pack(root: Path, archive: Path) -> None:
    """Write the project with its git commit into a zip archive; the same files always give the same bytes."""
    files = files_of(root)
    validate_size(root, files)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            info = zipfile.ZipInfo(path.as_posix(), FILE_TIME)
            info.external_attr = (root / path).stat().st_mode << 16
            packed.writestr(info, (root / path).read_bytes(), zipfile.ZIP_DEFLATED)
        if Path(ARCHIVE_MARKER) not in files:
            packed.writestr(zipfile.ZipInfo(ARCHIVE_MARKER, FILE_TIME), _origin(root))


def copy_project(root: Path, folder: Path) -> None:
    """Copy the project into a folder, completely or not at all; an earlier copy is replaced."""
    files = files_of(root)
    validate_size(root, files)
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        for path in files:
            (part / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / path, part / path)
        if Path(ARCHIVE_MARKER) not in files:
            part.mkdir(parents=True, exist_ok=True)
            (part / ARCHIVE_MARKER).write_text(_origin(root))
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise WorldFault(f"the project could not be copied into {folder} ({error}); nothing was started.") from error


def _origin(root: Path) -> str:
    """Return the project's git commit as JSON, for where the archive is unpacked and git cannot tell."""
    return json.dumps(git_of(root), sort_keys=True) + "\n"


def _walk(root: Path, folder: PurePosixPath, rules: Rules) -> Iterator[Path]:
    own = root / folder / ".gitignore"
    if own.is_file():
        rules = [*rules, (folder, GitIgnoreSpec.from_lines(own.read_text(errors="replace").splitlines()))]
    for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.name in EXCLUDED or entry.name.startswith(SECRETS_PREFIX) or entry.name.endswith(".egg-info"):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not _ignored(f"{path}/", rules):
                yield from _walk(root, path, rules)
        elif entry.is_file() and not _ignored(str(path), rules):
            yield Path(path)


def _ignored(path: str, rules: Rules) -> bool:
    """Return whether the innermost .gitignore that matches the path ignores it."""
    ignored = False
    for folder, spec in rules:
        inside = path if folder == PurePosixPath() else path.removeprefix(f"{folder}/")
        found = spec.check_file(inside).include
        ignored = ignored if found is None else found
    return ignored

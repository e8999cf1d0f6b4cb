"""A sweep's project as it travels: the files below its root that git would keep, packed for a cluster or kept beside
the sweep, so that whoever goes on with it trains by the code it was begun with."""

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
from searchlab.project import SHIPPED
from searchlab.runs.provenance import git_of
from searchlab.space.byte_size import size

LIMIT = 50 * 10**6  # bytes of a project: code, not data
NAMED = 5  # of the biggest files, in the sentence that refuses
NEVER = {".git", ".venv", ".searchlab", "__pycache__", "node_modules"}
SECRETS = ".env"  # begins the names of files that hold a cluster's secrets
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every packed file: the same project is the same package, and is sent once

Rules: TypeAlias = Sequence[tuple[PurePosixPath, GitIgnoreSpec]]  # .gitignore files by folder, the outermost first


def files_of(root: Path) -> list[Path]:
    """The project's files, relative to its root, in order: neither what .gitignore names nor what never travels."""
    return sorted(_walk(root, PurePosixPath(), []))


def refuse_large(root: Path, files: Sequence[Path]) -> None:
    """Raises UserMistake for a project that is no longer code alone, naming its biggest files."""
    sizes = {path: (root / path).stat().st_size for path in files}
    total = sum(sizes.values())
    if total > LIMIT:
        biggest = sorted(sizes, key=lambda path: -sizes[path])[:NAMED]
        named = ", ".join(f"{path} ({size(sizes[path])})" for path in biggest)
        raise UserMistake(
            f"the project {root} is {size(total)}, and at most {size(LIMIT)} is sent to a cluster; the biggest files "
            f"are {named}. Name in .gitignore what is not code; data belongs where every node sees it, or travels "
            "with --ship-data."
        )


def pack(root: Path, archive: Path) -> None:
    """Write the project into a zip archive, with where it comes from; the same files always make the same bytes."""
    files = files_of(root)
    refuse_large(root, files)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            info = zipfile.ZipInfo(path.as_posix(), EPOCH)
            info.external_attr = (root / path).stat().st_mode << 16
            packed.writestr(info, (root / path).read_bytes(), zipfile.ZIP_DEFLATED)
        if Path(SHIPPED) not in files:
            packed.writestr(zipfile.ZipInfo(SHIPPED, EPOCH), _origin(root))


def keep(root: Path, folder: Path) -> None:
    """Copy the project into a folder, whole or not at all; what was kept there before is replaced."""
    files = files_of(root)
    refuse_large(root, files)
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        for path in files:
            (part / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / path, part / path)
        if Path(SHIPPED) not in files:
            part.mkdir(parents=True, exist_ok=True)
            (part / SHIPPED).write_text(_origin(root))
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise WorldFault(f"the project could not be kept in {folder} ({error}); nothing was begun.") from error


def _origin(root: Path) -> str:
    """The project's commit, for where git is not asked any more."""
    return json.dumps(git_of(root), sort_keys=True) + "\n"


def _walk(root: Path, folder: PurePosixPath, rules: Rules) -> Iterator[Path]:
    own = root / folder / ".gitignore"
    if own.is_file():
        rules = [*rules, (folder, GitIgnoreSpec.from_lines(own.read_text(errors="replace").splitlines()))]
    for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.name in NEVER or entry.name.startswith(SECRETS) or entry.name.endswith(".egg-info"):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not _ignored(f"{path}/", rules):
                yield from _walk(root, path, rules)
        elif entry.is_file() and not _ignored(str(path), rules):
            yield Path(path)


def _ignored(path: str, rules: Rules) -> bool:
    """What the innermost .gitignore with an opinion says."""
    verdict = False
    for folder, spec in rules:
        inside = path if folder == PurePosixPath() else path.removeprefix(f"{folder}/")
        found = spec.check_file(inside).include
        verdict = verdict if found is None else found
    return verdict

"""Make or check the locks of the images: the exact version and the hashes of every Python package that is installed.

python deploy/lock.py           make deploy/requirements/*.txt with uv, from pyproject.toml; needs a network
python deploy/lock.py --check   compare them with pyproject.toml and with their own sums, without a network
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "requirements"
CUDA = "cupy-cuda12x[ctk]"  # CUDA's libraries as wheels
LOCKS = {"cpu": ("cluster",), "gpu": ("cluster", "gpu"), "build": ()}  # the extras of each lock
HEADER = "# Made by `make lock` from requirements with sha256 {inputs}; the lines below have sha256 {lines}.\n"
HEADER_PATTERN = re.compile(HEADER.replace(".", r"\.").format(inputs="([0-9a-f]{64})", lines="([0-9a-f]{64})"))
HASH = r" \\\n    --hash=sha256:[0-9a-f]{64}"
PIN = re.compile(rf"^(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; [^\\]+)?(?:{HASH})+$")


def main(arguments: list[str]) -> int:
    """Make the locks, or check them and print what is wrong; return the exit code."""
    if arguments != ["--check"]:
        for name in LOCKS:
            make(name)
        return 0
    wrong = [f"{FOLDER / name}.txt {fault}" for name in LOCKS for fault in faults(name)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def inputs(name: str, project: Path = ROOT / "pyproject.toml") -> list[str]:
    """Return the requirements that a lock is made from."""
    settings = tomllib.loads(project.read_text())
    if name == "build":
        return list(settings["build-system"]["requires"])
    tables = settings["project"]["optional-dependencies"]
    requirements = [*settings["project"]["dependencies"], *(line for extra in LOCKS[name] for line in tables[extra])]
    return [*requirements, CUDA] if "gpu" in LOCKS[name] else requirements


def make(name: str) -> None:
    """Resolve the requirements for all versions of Python that the project supports, and write the lock.

    The GPU's lock takes the versions of the CPU's. Only wheels: to build a package runs code that has no hash here.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "requirements.in", Path(folder) / "requirements.txt"
        source.write_text("".join(f"{line}\n" for line in inputs(name)))
        constraints = ["--constraints", str(FOLDER / "cpu.txt")] if name == "gpu" else []
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--only-binary", ":all:"]
        quiet = ["--no-header", "--no-annotate", "--quiet"]
        command = ["uv", "pip", "compile", str(source), *options, *quiet, *constraints, "--output-file", str(target)]
        subprocess.run(command, check=True, cwd=folder)
        text = target.read_text()
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text(
        HEADER.format(inputs=digest("\n".join(inputs(name))), lines=digest(text)) + text
    )


def faults(name: str, folder: Path = FOLDER, project: Path = ROOT / "pyproject.toml") -> Iterator[str]:
    """Yield what is wrong with a lock."""
    path = folder / f"{name}.txt"
    header, _, text = path.read_text().partition("\n") if path.exists() else ("", "", "")
    match = HEADER_PATTERN.fullmatch(f"{header}\n")
    if match is None:
        yield "is missing or has no header; run `make lock`"
        return
    if match[1] != digest("\n".join(inputs(name, project))):
        yield "was made from other requirements than those of pyproject.toml; run `make lock`"
    if match[2] != digest(text):
        yield "was changed by hand; run `make lock`"
    pins = [(entry, PIN.match(entry)) for entry in re.split(r"\n(?=\S)", text.strip("\n"))]
    yield from (f"has no exact version with a hash: {entry.splitlines()[0]}" for entry, pin in pins if not pin)
    versions: dict[str, list[str]] = {}
    for pin in (pin for _, pin in pins if pin):
        versions.setdefault(canonical(pin["name"]), []).append(pin["version"])
    for requirement in map(Requirement, inputs(name, project)):
        found = versions.get(canonical(requirement.name), [])
        if not any(requirement.specifier.contains(version, prereleases=True) for version in found):
            yield f"has no version that {requirement} allows, but {found or 'none'}"


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

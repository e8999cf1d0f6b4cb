"""The packages of the library, their sizes and their imports: `python -m tests.package_graph` prints them."""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter

from tests.test_layout import FILES, RANKS, imports_of, package_of


def sizes() -> dict[str, float]:
    """The share of each package in the lines of the library."""
    lines = Counter()
    for path, source in FILES.items():
        lines[package_of(path)] += len(source.splitlines())
    return {package: count / lines.total() for package, count in lines.items()}


def graph() -> dict[str, set[str]]:
    """The packages that each package imports, at any depth of its code; imports for types alone are left out."""
    found = {package: set() for package in RANKS}
    for path, source in FILES.items():
        modules = {name for name in imports_of(source, of_types=False) if name.startswith("searchlab.")}
        if package_of(path) in found:
            found[package_of(path)] |= {name.split(".")[1] for name in modules} & RANKS.keys() - {package_of(path)}
    for package in ("space", "results"):  # Sweep.run and Result.resume, at call time
        found[package].discard("runner")
    return found


def cycle(packages: dict[str, set[str]]) -> list[str] | None:
    """A cycle of imports between packages; None where there is none."""
    try:
        TopologicalSorter(packages).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def main() -> None:
    share, packages = sizes(), graph()
    for package in sorted(RANKS, key=lambda package: (RANKS[package], package)):
        imported = ", ".join(sorted(packages[package], key=RANKS.get)) or "-"
        print(f"{RANKS[package]:2} {package:13} {share[package]:6.1%}  {imported}")
    found = cycle(packages)
    print(f"cycle: {' -> '.join(found) if found else 'none'}; largest package: {max(share, key=share.get)}")


if __name__ == "__main__":
    main()

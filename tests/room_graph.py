"""The rooms of the library, their sizes and their imports: `python -m tests.room_graph` prints them."""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter

from tests.test_layout import FILES, RANKS, imports_of, room_of


def sizes() -> dict[str, float]:
    """The share of each room in the lines of the library."""
    lines = Counter()
    for path, source in FILES.items():
        lines[room_of(path)] += len(source.splitlines())
    return {room: count / lines.total() for room, count in lines.items()}


def graph() -> dict[str, set[str]]:
    """The rooms that each room imports, at any depth of its code; imports for types alone are left out."""
    found = {room: set() for room in RANKS}
    for path, source in FILES.items():
        modules = {name for name in imports_of(source, of_types=False) if name.startswith("searchlab.")}
        if room_of(path) in found:
            found[room_of(path)] |= {name.split(".")[1] for name in modules} & RANKS.keys() - {room_of(path)}
    for room in ("space", "results"):  # Sweep.run and Result.resume, at call time
        found[room].discard("runner")
    return found


def cycle(rooms: dict[str, set[str]]) -> list[str] | None:
    """A cycle of imports between rooms; None where there is none."""
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def main() -> None:
    share, rooms = sizes(), graph()
    for room in sorted(RANKS, key=lambda room: (RANKS[room], room)):
        print(f"{RANKS[room]:2} {room:12} {share[room]:6.1%}  {', '.join(sorted(rooms[room], key=RANKS.get)) or '-'}")
    found = cycle(rooms)
    print(f"cycle: {' -> '.join(found) if found else 'none'}; largest room: {max(share, key=share.get)}")


if __name__ == "__main__":
    main()

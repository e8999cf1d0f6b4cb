"""The memory of this machine."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the bytes that are free or reclaimable on this machine, or in this container; None if unknown."""
    machine = _read_field(MEMINFO, "MemAvailable:")  # in KiB
    limits = [limit for limit in (machine and machine * 1024, _container_memory()) if limit is not None]
    return min(limits) if limits else None


def _container_memory() -> int | None:
    """Return the bytes that the container's limit leaves, cached pages of files included; None without a limit."""
    with suppress(OSError, ValueError):
        limit = int((CGROUP / "memory.max").read_text())  # "max" without a limit
        cached = _read_field(CGROUP / "memory.stat", "inactive_file") or 0
        used = int((CGROUP / "memory.current").read_text()) - cached
        return max(0, limit - used)
    return None


def _read_field(path: Path, name: str) -> int | None:
    """Return the number that follows this name in a file of the system; None where there is none."""
    with suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1])
    return None

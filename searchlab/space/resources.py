"""The resources that each group of a sweep takes of a machine, and the devices on which it may train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from searchlab.backend import Device
from searchlab.errors import UserMistake
from searchlab.numeric_types import is_number
from searchlab.space.byte_size import parse_bytes

MAX_PER_NODE = 10_000  # cores or GPUs

DeviceOption: TypeAlias = Literal["cpu", "cuda", "either"]
"""The values of `--device`: groups train on CPU cores, on CUDA devices, or on whichever is free, CUDA first."""


def allowed_devices(option: DeviceOption) -> tuple[Device, ...]:
    """Return the devices that this option allows, the faster one first."""
    return ("cuda", "cpu") if option == "either" else (option,)


@dataclass(frozen=True)
class Resources:
    """What each group takes of the machine that trains it.

    Resources change how fast a search is, not what it finds. One core trains fastest for small networks, because two
    BLAS threads make small matrix products slower; ask for more only with large matrices. With `gpus` below 1, several
    groups share a GPU; more trials in a group use a GPU better, so try that first.

    Args:
        cpus: CPU cores; a fraction below 1, or a whole number; default 1.
        gpus: GPUs, for a group that trains on one; a fraction below 1, or a whole number; default 1.
        memory: Memory that a worker may take and that is reserved for it on its node, in bytes or as text like "2GB";
            default None, its share of what the node has.

    Raises:
        UserMistake: When a number is not above 0, a number above 1 is not whole, or `memory` is not a size.

    Example:
        >>> from searchlab import Resources
        >>> Resources(cpus=2, memory="2GB").memory_bytes
        2000000000
        >>> Resources(gpus=0.25).ray_resources("cuda")
        {'CPU': 1.0, 'GPU': 0.25}
    """

    cpus: float = 1
    gpus: float = 1
    memory: str | int | None = None

    def __post_init__(self) -> None:
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            if not is_number(value) or not 0 < value <= MAX_PER_NODE:
                raise UserMistake(
                    f"Resources({name}=...) takes a number above 0 and at most {MAX_PER_NODE:,}, got {value!r}."
                )
            if value > 1 and value != int(value):
                raise UserMistake(f"Resources({name}=...) takes a whole number above 1, or a fraction; got {value!r}.")
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise UserMistake(f"Resources(memory=...) takes a size above 0, got {self.memory!r}.")

    @property
    def memory_bytes(self) -> int | None:
        """The memory in bytes; None where a worker takes its share of the node."""
        return None if self.memory is None else int(parse_bytes(self.memory, "Resources(memory=...)"))

    @property
    def blas_threads(self) -> int:
        """BLAS threads of a worker: one for each whole core, at least 1."""
        return max(1, int(self.cpus))

    def ray_resources(self, device: Device) -> dict[str, float]:
        """Return what a group on this device takes, by Ray's resource names and in Ray's units.

        Args:
            device: "cpu" or "cuda".

        Returns:
            Amounts of "CPU", of "GPU" on a CUDA device, and of "memory" in bytes where it is given.
        """
        gpus = {"GPU": float(self.gpus)} if device == "cuda" else {}
        memory = {} if self.memory_bytes is None else {"memory": float(self.memory_bytes)}
        return {"CPU": float(self.cpus), **gpus, **memory}

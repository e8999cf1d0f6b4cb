"""Resources: what each group of a sweep takes of the machine that trains it, and on which devices it may train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from searchlab.backend import Device
from searchlab.errors import UserMistake
from searchlab.space.byte_size import amount

Placement: TypeAlias = Literal["cpu", "cuda", "either"]
"""Where groups train: on processors, on CUDA devices, or on whichever is free, a CUDA device first."""


def devices_of(placement: Placement) -> tuple[Device, ...]:
    """The devices that a placement allows, the faster one first."""
    return ("cuda", "cpu") if placement == "either" else (placement,)


@dataclass(frozen=True)
class Resources:
    """What each group takes: processor cores, a share of a GPU where it trains on one, and memory of the machine.

    One core trains fastest (two BLAS threads make small products slower), so ask for more with large matrices only. A
    GPU has room for several groups where `gpus` is below 1; before that, more trials in a group use it better. `memory`
    is bytes or text like "2GB": what a worker may take, and what is kept free for it on its node; None is its share of
    what the node has. They change how fast a search is, not what it finds. Raises UserMistake for what cannot be taken.
    """

    cpus: float = 1
    gpus: float = 1
    memory: str | int | None = None

    def __post_init__(self) -> None:
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value < float("inf"):
                raise UserMistake(f"Resources({name}=...) is a number above 0, got {value!r}.")
            if value > 1 and value != int(value):
                raise UserMistake(f"Resources({name}=...) above 1 is a whole number, got {value!r}.")
        if self.bytes is not None and self.bytes <= 0:
            raise UserMistake(f"Resources(memory=...) is an amount above 0, got {self.memory!r}.")

    @property
    def bytes(self) -> int | None:
        """The memory in bytes; None where a worker takes its share."""
        return None if self.memory is None else int(amount(self.memory, "Resources(memory=...)"))

    @property
    def threads(self) -> int:
        """BLAS threads of a worker: one per whole core."""
        return max(1, int(self.cpus))

    def on(self, device: Device) -> dict[str, float]:
        """What a group on this device takes, in Ray's names and units."""
        gpus = {"GPU": float(self.gpus)} if device == "cuda" else {}
        memory = {} if self.bytes is None else {"memory": float(self.bytes)}
        return {"CPU": float(self.cpus), **gpus, **memory}

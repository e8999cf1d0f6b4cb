"""An .npz file of arrays as a data set."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from searchlab.data.arrays import Arrays
from searchlab.data.data_folder import find_file
from searchlab.data.examples import Examples
from searchlab.data.image_shape import ImageShape
from searchlab.data.npz_file import load_npz
from searchlab.errors import UserMistake


@dataclass(frozen=True)
class Npz:
    """A data set in an .npz file of plain arrays, with test rows under the keys `x_test` and `y_test` if it has them.

    The arrays are what `Arrays` takes. The file is looked for in the current folder and then in the data folder.

    Args:
        path: The file.
        x: Key of the inputs, default "x".
        y: Key of the targets, default "y".
        groups: Key of the group of each row; default None for independent rows.
        test_size: Share of the rows to draw as test rows where the file has none, default 0.2.
        target_names: The name of each class or target; default None.
        standardize: Whether each replica sees x with mean 0 and scale 1 on its own training rows; default True.
        standardize_targets: Whether each replica trains on numbers to predict with mean 0 and scale 1 on its own
            training rows; scores and predictions stay in the unit of the targets. Default None: unless all numbers
            are 0 or 1, or each row of several numbers is a distribution, as the cross-entropy losses need.
        image_shape: (height, width) or (height, width, channels) where rows are images; default None.
        seed: Seed of the draw of test rows, default 0.

    Raises:
        UserMistake: On loading, when there is no such file or key, the file is broken, or the arrays do not fit
            together.
        WorldFault: On loading, when the system cannot read the file.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab import Npz
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/data.npz", x=np.ones((10, 3)), y=np.arange(10) % 2)
        ...     training = Npz(f"{folder}/data.npz").training()
        >>> len(training), training.sizes
        (8, (3, 2))
    """

    path: str
    _: KW_ONLY
    x: str = "x"
    y: str = "y"
    groups: str | None = None
    test_size: float = 0.2
    target_names: tuple[str, ...] | None = None
    standardize: bool = True
    standardize_targets: bool | None = None
    image_shape: ImageShape | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))

    def training(self) -> Examples:
        """Return the training rows."""
        return self._read().load(is_test=False)

    def testing(self) -> Examples:
        """Return the test rows in the file, or those drawn."""
        return self._read().load(is_test=True)

    def _read(self) -> Arrays:
        path = find_file(self.path)
        keys = {"x": self.x, "y": self.y, "x_test": "x_test", "y_test": "y_test"}
        if self.groups is not None:
            keys["groups"] = self.groups
        arrays, all_keys = load_npz(path, keys.values())
        for argument, key in keys.items():
            if key not in arrays and not argument.endswith("_test"):
                hint = f"its keys are {', '.join(all_keys)}" if all_keys else "np.savez(path, x=..., y=...) writes them"
                raise UserMistake(f"{path} has no key {key!r}; {hint}.")
        return _build_arrays(self, path, {argument: arrays[key] for argument, key in keys.items() if key in arrays})


def _build_arrays(dataset: Npz, path: Path, arrays: dict[str, Any]) -> Arrays:
    """Return the arrays of a file with the options of their data set; error messages name the file."""
    names = ("test_size", "target_names", "standardize", "standardize_targets", "image_shape", "seed")
    options = {name: getattr(dataset, name) for name in names}
    build: Callable[..., Arrays] = Arrays
    try:
        return build(**arrays, **options)
    except UserMistake as mistake:
        raise UserMistake(f"{path}: {mistake}") from mistake

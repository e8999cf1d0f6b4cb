"""A folder of pictures as a data set: a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from searchlab.data.data_folder import find_folder
from searchlab.data.examples import Examples
from searchlab.data.image_files import RESIZES, Resize, find_images_by_class, read_images_as_rows
from searchlab.data.image_shape import ImageShape
from searchlab.data.train_test_split import draw_test_rows
from searchlab.errors import UserMistake

ColorMode = Literal["grayscale", "rgb"]

SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}  # folders that are no classes


@dataclass(frozen=True)
class Images:
    """A folder of PNG and JPEG images that has a folder for each class.

    Every image becomes a row of height * width * channels numbers in [0, 1]. The name of a folder is the name of its
    class; images may lie in folders below it. The folder is looked for in the current folder and then in the data
    folder.

    Args:
        path: The folder, such as `flowers` with `flowers/rose/1.jpg` and `flowers/tulip/2.png`.
        test_path: A folder of test images with folders of the same names; default None draws test rows from `path`.
        image_size: (height, width) in pixels that images are resized to, or one number for both; default 32.
        color_mode: "grayscale" (default) for one channel, "rgb" for three.
        resize: "stretch" (default) changes the aspect ratio, "crop" cuts what is too long, "pad" adds black borders.
        test_size: Share of the images to draw as test rows, the same of each class; default 0.2.
        standardize: Whether each replica sees pixels with mean 0 and scale 1 on its own training rows; default False.
        seed: Seed of the draw of test rows, default 0.

    Raises:
        UserMistake: When an option is none of those above; on loading, when there is no such folder, or it has fewer
            than two classes.
        WorldFault: On loading, when a file cannot be read as an image.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from searchlab import Images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in range(10):
        ...         file = Path(folder, ("dark", "light")[number % 2], f"{number}.png")
        ...         file.parent.mkdir(exist_ok=True)
        ...         Image.new("L", (40, 30), 25 * number).save(file)
        ...     training = Images(folder, image_size=(15, 20)).training()
        >>> len(training), training.sizes, training.image_shape, training.target_names
        (8, (300, 2), (15, 20), ('dark', 'light'))
    """

    path: str
    _: KW_ONLY
    test_path: str | None = None
    image_size: int | tuple[int, int] = 32
    color_mode: ColorMode = "grayscale"
    resize: Resize = "stretch"
    test_size: float = 0.2
    standardize: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("path", "test_path"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, os.fspath(getattr(self, name)))
        size = (self.image_size,) * 2 if isinstance(self.image_size, int) else tuple(self.image_size)
        if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
            raise UserMistake(f"image_size is (height, width) in pixels, or one number for both; got {size}.")
        object.__setattr__(self, "image_size", size)
        if self.color_mode not in ("grayscale", "rgb"):
            raise UserMistake(f"color_mode is 'grayscale' or 'rgb', got {self.color_mode!r}.")
        if self.resize not in RESIZES:
            raise UserMistake(f"resize is one of {', '.join(map(repr, RESIZES))}; got {self.resize!r}.")
        if not 0.0 < self.test_size < 1.0:
            raise UserMistake(f"test_size is the share of test rows, between 0 and 1; got {self.test_size!r}.")

    def training(self) -> Examples:
        """Return the training images."""
        return self._read(is_test=False)

    def testing(self) -> Examples:
        """Return the test images: those of `test_path`, or those drawn."""
        return self._read(is_test=True)

    @property
    def image_shape(self) -> ImageShape:
        """(height, width) of gray images, (height, width, 3) of colored ones."""
        height, width = self.image_size  # type: ignore[misc]  # a pair since construction
        return (height, width, 3) if self.color_mode == "rgb" else (height, width)

    def _read(self, *, is_test: bool) -> Examples:
        classes = self._find(self.path)
        names = tuple(classes)
        if self.test_path is not None:
            if is_test:
                classes = self._find_test_images(names)
            return self._load(classes, names)
        labels = np.repeat(np.arange(len(names)), [len(files) for files in classes.values()])
        try:
            is_drawn = draw_test_rows(len(labels), self.test_size, self.seed, labels=labels) == is_test
        except UserMistake as mistake:
            raise UserMistake(f"{self.path}: {mistake}") from mistake
        drawn = iter(is_drawn.tolist())
        return self._load({name: [file for file in files if next(drawn)] for name, files in classes.items()}, names)

    def _find(self, path: str) -> dict[str, list[Path]]:
        """Return the files of each class; raise UserMistake where the folders are parts of the data and no classes."""
        folder = find_folder(path)
        classes = find_images_by_class(folder)
        if {name.lower() for name in classes} <= SPLIT_NAMES:
            train = next((name for name in classes if name.lower().startswith("train")), "train")
            test = next(name for name in classes if name != train)  # "test" sorts before "val"
            raise UserMistake(
                f"the folders of {folder} are parts of the data and no classes; give them as "
                f"Images({str(Path(path, train))!r}, test_path={str(Path(path, test))!r})."
            )
        return classes

    def _find_test_images(self, names: Sequence[str]) -> dict[str, list[Path]]:
        classes = self._find(str(self.test_path))
        if unknown := sorted({*classes} - {*names}):
            raise UserMistake(f"{self.test_path} has the class {unknown[0]}, and {self.path} does not.")
        return {name: classes.get(name, []) for name in names}

    def _load(self, classes: Mapping[str, Sequence[Path]], names: tuple[str, ...]) -> Examples:
        files = [file for files in classes.values() for file in files]
        return Examples(
            read_images_as_rows(files, self.image_shape, self.resize),
            np.repeat(np.arange(len(names)), [len(classes[name]) for name in names]),
            outputs=len(names),
            image_shape=self.image_shape,
            target_names=names,
            standardize=self.standardize,
        )

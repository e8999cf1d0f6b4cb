"""PNG and JPEG files: which ones a folder has, and their pixels as rows of one size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array
from searchlab.data.image_shape import ImageShape
from searchlab.errors import UserMistake, WorldFault
from searchlab.wording import count

Resize = Literal["stretch", "crop", "pad"]

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")
RESIZES: tuple[Resize, ...] = ("stretch", "crop", "pad")
LARGEST_BYTE, LARGEST_WORD = 255.0, 65_535.0
MAX_LISTED = 3  # files that an error message names


def is_image_file(path: Path) -> bool:
    """Return whether the name of a file is that of a PNG or JPEG image, and not that of a hidden file."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def find_images(folder: Path) -> list[Path]:
    """Return the image files in a folder and in the folders below it, sorted by their paths."""
    return sorted(path for path in folder.rglob("*") if is_image_file(path) and path.is_file())


def find_images_by_class(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class, which is a folder of its name; classes are sorted.

    Raises:
        UserMistake: When the folder has fewer than two classes, or a class has no image.
    """
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        found = f"it has one folder, {names[0]}" if names else "it has no folders"
        raise UserMistake(f"{folder} needs a folder of images for each of at least 2 classes; {found}.")
    images = {name: find_images(folder / name) for name in names}
    if empty := [name for name, files in images.items() if not files]:
        raise UserMistake(f"{folder / empty[0]} has no image: no file whose name ends in {', '.join(IMAGE_SUFFIXES)}.")
    return images


def has_color(file: Path) -> bool:
    """Return whether an image file stores colors, and not gray values alone.

    Raises:
        WorldFault: When it cannot be read as an image.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.mode[:1] not in ("1", "L", "I", "F")  # modes of one channel, with transparency or without
    except (OSError, ValueError, SyntaxError) as error:
        raise WorldFault(f"{file} cannot be read as an image ({error}).") from error


def read_images_as_rows(files: Sequence[Path], image_shape: ImageShape, resize: Resize = "stretch") -> Array:
    """Return the pixels of image files as rows (N, height * width * channels) of float32 in [0, 1].

    Images are turned as their EXIF orientation says, and resized with antialiasing; transparent pixels become white.

    Args:
        files: The N files.
        image_shape: (height, width) for gray values, or (height, width, 3) for red, green and blue.
        resize: "stretch" changes the aspect ratio, "crop" cuts what is too long, "pad" adds black borders.

    Raises:
        WorldFault: When files cannot be read as images; the message names the first ones.
    """
    rows = np.empty((len(files), int(np.prod(image_shape))), dtype=np.float32)
    broken: list[str] = []
    for row, file in zip(rows, files, strict=True):
        try:
            row[:] = _read_pixels(file, image_shape, resize).ravel()
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError for broken PNG files
            broken.append(f"{file} ({error})")
    if broken:
        more = f" and {len(broken) - MAX_LISTED} more" if len(broken) > MAX_LISTED else ""
        listed = ", ".join(broken[:MAX_LISTED])
        raise WorldFault(f"{count(len(broken), 'file')} cannot be read as images: {listed}{more}.")
    return rows


def _read_pixels(file: Path, image_shape: ImageShape, resize: Resize) -> Array:
    """Return the pixels (height, width) or (height, width, 3) of a file, in [0, 1]."""
    from PIL import Image, ImageOps  # heavy, and not on a machine that trains only

    height, width = image_shape[:2]
    with Image.open(file) as opened:
        image: Any = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16 bits per pixel, which Pillow would cut off at 255 instead of scaling
            image = Image.fromarray(np.asarray(image, dtype=np.float32) * np.float32(LARGEST_BYTE / LARGEST_WORD))
        elif image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        image = image.convert("RGB" if len(image_shape) == 3 else "L")
        if resize == "stretch":
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        else:
            change = ImageOps.fit if resize == "crop" else ImageOps.pad
            image = change(image, (width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.float32) / np.float32(LARGEST_BYTE)

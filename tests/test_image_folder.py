"""Folders of images as a data set, and what a network that was trained on one takes."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.mlp import MLP
from searchlab.artifact import load
from searchlab.data import Arrays, Examples, Images
from searchlab.data.image_files import read_images_as_rows
from searchlab.errors import UserMistake, WorldFault
from searchlab.nn.activations import Relu
from searchlab.reporting.figures.misclassified_images import plot_misclassified_images
from searchlab.reporting.predictions import Predictions
from searchlab.space.space import Space
from tests.command_line import error_message, run_cli
from tests.jobs import run
from tests.sweeps import spiral_sweep

CLASSES = ("circle", "square", "stripe")


def draw(kind, generator, size=20, channels=3):
    """Return a picture (size, size, channels) of bytes: a shape on noise."""
    pixels = generator.integers(60, size=(size, size, channels), dtype=np.uint8)
    row, column = np.mgrid[:size, :size] - size // 2
    inside = {
        "circle": row**2 + column**2 < 36,
        "square": np.maximum(abs(row), abs(column)) < 6,
        "stripe": abs(row) < 3,
    }
    pixels[inside[kind]] += np.uint8(150)
    return pixels


@pytest.fixture
def pictures(tmp_path):
    """60 pictures in folders of three classes, PNG and JPEG, one of them in a folder below its class."""
    generator = np.random.default_rng(0)
    for number in range(60):
        kind = CLASSES[number % 3]
        file = tmp_path / "shapes" / kind / ("more" if number == 0 else "") / f"{number}.{('png', 'JPG')[number % 2]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(kind, generator)).save(file, format=("PNG", "JPEG")[number % 2])
    (tmp_path / "shapes" / "circle" / "notes.txt").write_text("no image")
    (tmp_path / "shapes" / "circle" / "._1.png").write_text("no image either")
    return tmp_path / "shapes"


def test_every_image_is_a_row_of_its_class(pictures):
    data = Images(pictures, image_size=(10, 12), color_mode="rgb")
    training, testing = data.training(), data.testing()
    assert (len(training), len(testing)) == (48, 12)
    assert (training.image_shape, training.sizes, training.target_names) == ((10, 12, 3), (360, 3), CLASSES)
    assert np.bincount(testing.labels).tolist() == [4, 4, 4]
    assert 0.0 <= training.x.min() < training.x.max() <= 1.0
    rows = {row.tobytes() for part in (training, testing) for row in part.x}
    assert len(rows) == 60, "each image is in one part"
    assert data.training().checksum() == training.checksum() != Images(pictures, seed=1).training().checksum()


def test_pixels_are_those_of_the_file(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    row = read_images_as_rows([tmp_path / "a.png"], (4, 6, 3))
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row[0], pixels.ravel().astype(np.float32) / np.float32(255))


def test_orientation_depth_and_transparency_are_read(tmp_path):
    tall = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(3, 2) * 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    tall.save(tmp_path / "turned.png", exif=exif)
    expected = np.rot90(np.asarray(tall), -1).ravel() / np.float32(255)
    np.testing.assert_allclose(read_images_as_rows([tmp_path / "turned.png"], (2, 3))[0], expected)
    Image.fromarray(np.array([[0, 65_535], [32_768, 256]], np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_allclose(read_images_as_rows([tmp_path / "deep.png"], (2, 2))[0], [0, 1, 0.5, 0.004], atol=0.005)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_images_as_rows([tmp_path / "clear.png"], (2, 2)) == 1.0).all()


@pytest.mark.parametrize(("resize", "share"), [("stretch", 1.0), ("crop", 1.0), ("pad", 0.5)])
def test_resizing_changes_crops_or_pads(tmp_path, resize, share):
    picture = np.full((10, 20), 255, np.uint8)
    picture[:, 10:] = 100
    Image.fromarray(picture).save(tmp_path / "a.png")
    row = read_images_as_rows([tmp_path / "a.png"], (10, 10), resize).reshape(10, 10)
    assert np.mean(row > 0.1) == share
    assert row[5, 0] == 1.0
    assert row[5, 9] == np.float32(100 / 255)


def test_a_folder_of_test_images(pictures, tmp_path):
    (tmp_path / "new" / "square").mkdir(parents=True)
    Image.fromarray(draw("square", np.random.default_rng(1))).save(tmp_path / "new" / "square" / "a.png")
    (tmp_path / "new" / "stripe").mkdir()
    Image.fromarray(draw("stripe", np.random.default_rng(1))).save(tmp_path / "new" / "stripe" / "b.png")
    data = Images(pictures, test_path=tmp_path / "new")
    assert len(data.training()) == 60
    assert (data.testing().labels.tolist(), data.testing().target_names) == ([1, 2], CLASSES)
    (tmp_path / "new" / "stripe").rename(tmp_path / "new" / "star")
    with pytest.raises(UserMistake, match=r"has the class star, and .*shapes does not"):
        data.testing()


def test_folders_that_hold_no_classes_are_named(pictures, tmp_path):
    for folder, message in [
        (tmp_path / "shape", r"there is no folder .*did you mean 'shapes'"),
        (pictures / "circle", r"needs a folder of images for each of at least 2 classes; it has one folder, more"),
        (pictures / "square", r"it has no folders"),
    ]:
        with pytest.raises(UserMistake, match=message):
            Images(folder).training()
    (tmp_path / "parts" / "test").mkdir(parents=True)
    pictures.rename(tmp_path / "parts" / "train")
    with pytest.raises(UserMistake, match="test has no image"):
        Images(tmp_path / "parts").training()
    Image.new("L", (2, 2)).save(tmp_path / "parts" / "test" / "a.png")
    advice = r"are parts of the data and no classes; give them as Images\('.*parts/train', test_path='.*parts/test'\)"
    with pytest.raises(UserMistake, match=advice):
        Images(tmp_path / "parts").training()


def test_broken_files_are_named_together(pictures):
    for number in (0, 3, 6, 9, 12):
        broken = next(pictures.rglob(f"{number}.*"))
        broken.write_bytes(broken.read_bytes()[:200] if number else b"no image")
    with pytest.raises(WorldFault, match=r"5 files cannot be read as images: .* and 2 more\."):
        Images(pictures, test_path=pictures).training()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (0, 4)}, "image_size is"),
        ({"image_size": (4, 4, 3)}, "image_size is"),
        ({"color_mode": "gray"}, "'grayscale' or 'rgb', got 'gray'"),
        ({"resize": "fit"}, "'stretch', 'crop', 'pad'; got 'fit'"),
        ({"test_size": 1.0}, "between 0 and 1"),
    ],
)
def test_invalid_options_are_rejected(options, message):
    with pytest.raises(UserMistake, match=message):
        Images("shapes", **options)


def test_arrays_take_colored_images():
    x = np.random.default_rng(0).integers(256, size=(30, 4, 5, 3), dtype=np.uint8)
    data = Arrays(x, np.arange(30) % 2).training()
    assert isinstance(data, Examples)
    assert (data.image_shape, data.sizes) == ((4, 5, 3), (60, 2))
    same = Arrays(x.reshape(30, -1), np.arange(30) % 2, image_shape=(4, 5, 3)).training()
    assert (same.image_shape, same.checksum()) == (data.image_shape, data.checksum())


@pytest.fixture
def shapes(pictures, home):
    """A sweep on the pictures, and its result."""
    data = Images(pictures, image_size=12, color_mode="rgb")
    sweep = spiral_sweep(2, name="shapes", data=data, model=Space(MLP, hidden=16, activation=Relu))
    return run(sweep, engine="local", home=home)


def last_json(finished):
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


def test_a_winner_predicts_image_files(pictures, shapes, home):
    saved = load(shapes.artifact)
    assert saved.manifest["inputs"]["image_shape"] == [12, 12, 3]
    header, *rows = csv.reader(io.StringIO(run_cli("predict", "shapes", pictures / "circle", home=home).stdout))
    assert header == ["file", "class", "probability"]
    files = sorted((pictures / "circle").rglob("[0-9]*.*"))
    assert [row[0] for row in rows] == [str(file) for file in files]
    pixels = read_images_as_rows(files, (12, 12, 3))
    assert [row[1] for row in rows] == saved.classify(pixels.reshape(-1, 12, 12, 3)).tolist()
    (single,) = last_json(run_cli("predict", "shapes", files[0], "--json", home=home))["predictions"]
    assert [single["file"], single["class"]] == rows[0][:2]
    several = [files[1], files[0], pictures / "square"]
    predicted = last_json(run_cli("predict", "shapes", *several, "--json", home=home))["predictions"]
    assert [row["file"] for row in predicted[:2]] == [str(files[1]), str(files[0])]
    assert [row["class"] for row in predicted[:2]] == [rows[1][1], rows[0][1]]
    assert {Path(row["file"]).parent for row in predicted[2:]} == {pictures / "square"}


def test_a_file_that_is_no_image_is_predicted_alone(pictures, shapes, home, tmp_path):
    rows = tmp_path / "rows.npy"
    np.save(rows, np.zeros((2, 12, 12, 3)))
    finished = run_cli("predict", "shapes", pictures / "circle", rows, home=home)
    assert "rows.npy is not an image: it is predicted by a command of its own" in error_message(finished, 2)


def test_a_winner_is_measured_on_a_folder_of_classes(pictures, shapes, home, tmp_path):
    assert last_json(run_cli("evaluate", shapes.artifact, "--data", pictures, "--json", home=home))["rows"] == 60
    (pictures / "circle").rename(pictures / "ring")
    finished = run_cli("evaluate", shapes.artifact, "--data", pictures, home=home)
    assert "does not know the class 'ring'; it knows circle, square, stripe" in error_message(finished, 2)
    (tmp_path / "empty").mkdir()
    finished = run_cli("predict", "shapes", tmp_path / "empty", home=home)
    assert "has no PNG or JPEG images" in error_message(finished, 2)


def test_images_need_a_network_of_images(pictures, home):
    run(spiral_sweep(1, name="points"), engine="local", home=home)
    finished = run_cli("predict", "points", pictures, home=home)
    assert "is read as images, and this network was trained on Spiral" in error_message(finished, 2)


def test_colored_images_are_drawn(pictures):
    testing = Images(pictures, color_mode="rgb").testing()
    wrong = np.eye(3)[(testing.labels + 1) % 3] * 5.0
    predictions = Predictions(testing.x, testing.labels, wrong, testing.image_shape, testing.target_names)
    drawn = plot_misclassified_images(predictions).axes[0].images
    assert len(drawn) == 12
    np.testing.assert_allclose(drawn[0].get_array(), testing.x[0].reshape(32, 32, 3))

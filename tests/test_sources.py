"""Files that data sets are read from: fetched once, checked, cached, and refused in words when they are broken."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

import searchlab.data.mnist as mnist
from searchlab.data import Digits, Mnist
from searchlab.data.idx import parse_idx, read_idx
from searchlab.data.sources import Source, data_folder
from searchlab.errors import WorldFault


def idx(array, magic=None):
    """The IDX file of an array of bytes, unpacked."""
    header = struct.pack(">HBB", 0, 8, array.ndim) if magic is None else magic
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def packed(folder, content, name="some.gz"):
    """A home with this file, and the source that fetches it: file:// stands for the network."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / name).write_bytes(gzip.compress(content))
    return Source(f"set/{name}", (home / name).as_uri(), hashlib.md5(content, usedforsecurity=False).hexdigest())


ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_a_file_is_fetched_once_and_read_from_the_cache(tmp_path):
    source, cache = packed(tmp_path, idx(ARRAY)), tmp_path / "cache"
    assert (read_idx(source, cache) == ARRAY).all()
    assert [path.name for path in (cache / "set").iterdir()] == ["some.gz"]  # no partial file left
    (tmp_path / "home" / "some.gz").unlink()
    assert (read_idx(source, cache) == ARRAY).all()


def test_offline_and_missing_says_what_to_do(tmp_path):
    source = Source("set/gone.gz", (tmp_path / "gone.gz").as_uri(), "0")
    with pytest.raises(WorldFault, match=r"gone\.gz is missing and could not be fetched from file:.*SEARCHLAB_DATA"):
        read_idx(source, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*gone*"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "cache").write_text("a file, where the folder should be")
    with pytest.raises(WorldFault, match="is missing and could not be fetched"):
        read_idx(packed(tmp_path, idx(ARRAY)), tmp_path / "cache")


def test_another_file_than_the_published_one_is_refused(tmp_path):
    source = packed(tmp_path, idx(ARRAY))
    wrong = Source(source.path, source.url, "0" * 32)
    with pytest.raises(WorldFault, match=rf"MD5 {source.md5}, expected 0000.*delete it"):
        read_idx(wrong, tmp_path / "cache")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[:-9],
        lambda whole: b"no gzip at all",
        lambda whole: b"",
        lambda whole: whole[:12] + b"\xff" * 9,
    ],
    ids=["cut short", "not gzip", "empty", "garbled"],
)
def test_a_broken_archive_is_refused(tmp_path, spoil):
    source = packed(tmp_path, idx(ARRAY))
    target = tmp_path / "cache" / source.path
    target.parent.mkdir(parents=True)
    target.write_bytes(spoil(gzip.compress(idx(ARRAY))))
    with pytest.raises(WorldFault, match=r"cannot be unpacked|is not the published file"):
        read_idx(source, tmp_path / "cache")


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (1, 28, 28), (0, 3)])
def test_idx_of_any_shape(shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    parsed = parse_idx(idx(array), "some")
    assert parsed.shape == shape
    assert (parsed == array).all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not an IDX file of unsigned bytes"),
        (b"\0\0\x08", "not an IDX file of unsigned bytes"),
        (idx(ARRAY, b"\x1f\x8b\x08\x03"), "not an IDX file of unsigned bytes"),
        (idx(ARRAY, b"\0\0\x0d\x03"), "not an IDX file of unsigned bytes"),
        (b"\0\0\x08\0\x05", "not an IDX file of unsigned bytes"),
        (b"\0\0\x08\x03", "cut short or too long"),
        (b"\0\0\x08\x03\0\0\0\x02\0\0", "cut short or too long"),
        (idx(ARRAY)[:-1], r"cut short or too long for its header \(2, 3, 4\)"),
        (idx(ARRAY) + b"\0", r"cut short or too long for its header \(2, 3, 4\)"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "cut short or too long"),
    ],
)
def test_malformed_idx_is_refused(content, told):
    with pytest.raises(WorldFault, match=told):
        parse_idx(content, "some")


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """MNIST in miniature: 7 training and 3 test images of 28 x 28, with sums of their own."""
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    generator = np.random.default_rng(0)
    arrays = {}
    for part, rows in (("TRAIN", 7), ("TEST", 3)):
        arrays[f"{part}_IMAGES"] = generator.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        arrays[f"{part}_LABELS"] = generator.integers(10, size=rows, dtype=np.uint8)
    for word, array in arrays.items():
        name, content = getattr(mnist, word)[0], idx(array)
        (tmp_path / "mnist" / name).write_bytes(gzip.compress(content))
        monkeypatch.setattr(mnist, word, (name, hashlib.md5(content, usedforsecurity=False).hexdigest()))
    return tmp_path, arrays


def test_mnist_reads_images_as_rows_between_0_and_1(small_mnist):
    _, arrays = small_mnist
    table = Mnist().training()
    assert table.x.dtype == np.float32
    assert table.x == pytest.approx(arrays["TRAIN_IMAGES"].reshape(7, 784) / 255.0)
    assert (table.y == arrays["TRAIN_LABELS"]).all()
    assert (Mnist().testing().y == arrays["TEST_LABELS"]).all()
    assert len(Mnist(limit=5).training()) == 5
    assert len(Mnist(limit=5).testing()) == 3


def test_mnist_missing_offline_is_told(small_mnist, monkeypatch):
    folder, _ = small_mnist
    (folder / "mnist" / mnist.TRAIN_LABELS[0]).unlink()
    monkeypatch.setattr(mnist, "HOME", (folder / "nowhere").as_uri() + "/")
    with pytest.raises(WorldFault, match=r"train-labels-idx1-ubyte\.gz is missing"):
        Mnist().training()
    assert len(Mnist().testing()) == 3  # the others are not asked for


def test_digits_without_scikit_learn_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WorldFault, match="pip install scikit-learn"):
        Digits().training()


def test_digits_without_their_file_are_told(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec)
    with pytest.raises(WorldFault, match=r"cannot be read from .*reinstall scikit-learn"):
        Digits().training()


def test_data_lie_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "named"))
    assert data_folder() == tmp_path / "named"
    monkeypatch.setenv("SEARCHLAB_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "searchlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".cache" / "searchlab"

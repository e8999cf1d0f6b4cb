"""Files that data sets are read from: fetched once, checked, cached, and refused in words when they are broken."""

import gzip

import numpy as np
import pytest

from searchlab.data import Digits, FashionMnist, Mnist, fashion_mnist, mnist
from searchlab.data.download import Source, data_folder
from searchlab.data.idx import parse_idx, read_idx
from searchlab.errors import UserMistake, WorldFault
from tests.images import ROOMS, idx, md5, write_images


def packed(folder, content, name="some.gz", summed="unpacked"):
    """A home with this file, and the source that fetches it: file:// stands for the network."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / name).write_bytes(gzip.compress(content))
    whole = {"unpacked": content, "packed": (home / name).read_bytes()}[summed]
    return Source(f"set/{name}", (home / name).as_uri(), md5(whole), summed)


ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_a_file_is_fetched_once_and_read_from_the_cache(tmp_path):
    source, cache = packed(tmp_path, idx(ARRAY)), tmp_path / "cache"
    assert (read_idx(source, cache) == ARRAY).all()
    assert [path.name for path in (cache / "set").iterdir()] == ["some.gz"]  # no partial file left
    (tmp_path / "home" / "some.gz").unlink()
    assert (read_idx(source, cache) == ARRAY).all()


@pytest.mark.parametrize("summed", ["unpacked", "packed"])
def test_a_plain_file_is_read_as_it_lies(tmp_path, summed):
    (tmp_path / "home.txt").write_text("some words")
    source = Source("set/some.txt", (tmp_path / "home.txt").as_uri(), md5(b"some words"), summed)
    assert source.read(tmp_path / "cache") == b"some words"
    (tmp_path / "cache" / "set" / "some.txt").write_text("some")
    with pytest.raises(WorldFault, match=r"some\.txt is not the published file"):
        source.read(tmp_path / "cache")


def test_offline_and_missing_says_what_to_do(tmp_path):
    source = Source("set/gone.gz", (tmp_path / "gone.gz").as_uri(), "0")
    with pytest.raises(WorldFault, match=r"gone\.gz is missing and could not be fetched from file:.*SEARCHLAB_DATA"):
        read_idx(source, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*gone*"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "cache").write_text("a file, where the folder should be")
    with pytest.raises(WorldFault, match="is missing and could not be fetched"):
        read_idx(packed(tmp_path, idx(ARRAY)), tmp_path / "cache")


@pytest.mark.parametrize("summed", ["unpacked", "packed"])
def test_another_file_than_the_published_one_is_refused(tmp_path, summed):
    source = packed(tmp_path, idx(ARRAY), summed=summed)
    wrong = Source(source.path, source.url, "0" * 32, summed)
    with pytest.raises(WorldFault, match=rf"MD5 {source.md5}, expected 0000.*delete it"):
        read_idx(wrong, tmp_path / "cache")


def test_a_sum_is_of_the_bytes_its_publisher_summed(tmp_path):
    source = packed(tmp_path, idx(ARRAY), summed="packed")
    assert (read_idx(source, tmp_path / "cache") == ARRAY).all()
    with pytest.raises(WorldFault, match="is not the published file"):
        read_idx(Source(source.path, source.url, source.md5), tmp_path / "cache")
    (tmp_path / "cache" / source.path).write_bytes(gzip.compress(idx(ARRAY), compresslevel=1))  # packed otherwise
    with pytest.raises(WorldFault, match="is not the published file"):
        read_idx(source, tmp_path / "cache")
    assert (read_idx(Source(source.path, source.url, md5(idx(ARRAY))), tmp_path / "cache") == ARRAY).all()


@pytest.mark.parametrize("summed", ["unpacked", "packed"])
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
def test_a_broken_archive_is_refused(tmp_path, spoil, summed):
    source = packed(tmp_path, idx(ARRAY), summed=summed)
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


KINDS = {"mnist": Mnist, "fashion-mnist": FashionMnist}


@pytest.fixture(params=ROOMS)
def small_images(request, tmp_path, monkeypatch):
    """(name, folder, its arrays) of each data set of images."""
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    return request.param, tmp_path, write_images(tmp_path, monkeypatch, request.param)


def test_images_are_read_as_rows_between_0_and_1(small_images):
    name, _, arrays = small_images
    kind = KINDS[name]
    table = kind().training()
    assert table.x.dtype == np.float32
    assert table.x == pytest.approx(arrays["TRAIN_IMAGES"].reshape(7, 784) / 255.0)
    assert (table.y == arrays["TRAIN_LABELS"]).all()
    assert (kind().testing().y == arrays["TEST_LABELS"]).all()
    assert table.sizes == (784, 10)
    assert table.image == kind().testing().image == (28, 28)
    assert len(set(table.names)) == 10
    assert (kind(limit=5).training().x == table.x[:5]).all()
    assert len(kind(limit=5).testing()) == 3


def test_images_missing_offline_are_told(small_images, monkeypatch):
    name, folder, _ = small_images
    (folder / name / mnist.TRAIN_LABELS[0]).unlink()
    monkeypatch.setattr(ROOMS[name], "HOME", (folder / "nowhere").as_uri() + "/")
    with pytest.raises(
        WorldFault, match=r"train-labels-idx1-ubyte\.gz is missing and could not be fetched from file:.*"
    ):
        KINDS[name]().training()
    assert len(KINDS[name]().testing()) == 3  # the others are not asked for


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.arange(7, dtype=np.uint8) + 4, "holds the label 10, and there are 10 classes"),
        (np.zeros(6, np.uint8), r"an array \(7, 28, 28\) and .* one \(6,\): not as many pictures as labels"),
        (np.zeros((7, 1), np.uint8), "not as many pictures as labels"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_told(small_images, monkeypatch, labels, told):
    name, folder, _ = small_images
    write_images(folder, monkeypatch, name, TRAIN_LABELS=labels)
    with pytest.raises(WorldFault, match=told):
        KINDS[name]().training()


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_limit_keeps_at_least_a_row(kind):
    with pytest.raises(UserMistake, match=rf"^{kind.__name__}\(limit=\.\.\.\) keeps at least 1 row, got 0"):
        kind(limit=0)


def test_clothes_have_names():
    assert [fashion_mnist.NAMES[label] for label in (0, 6, 9)] == ["t-shirt/top", "shirt", "ankle boot"]
    assert len(set(fashion_mnist.NAMES)) == 10


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

"""Files that data sets read: downloaded once, verified, cached, and rejected with a reason when they are broken."""

import gzip
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from searchlab.data import Digits, FashionMnist, Mnist, fashion_mnist, mnist
from searchlab.data.data_folder import data_folder, find_file
from searchlab.data.download import RemoteFile, no_downloads
from searchlab.data.idx import parse_idx, read_idx
from searchlab.errors import UserMistake, WorldFault
from tests.images import MODULES, idx_bytes, md5_of, write_images

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, *arguments):
        pass


class Server:
    """A web server on loopback that publishes the files of a folder, and counts requests."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        if self.thread.is_alive():
            self.http.shutdown()
            self.thread.join()
        self.http.server_close()

    def publish(self, content, name="file.gz", md5_of_bytes="decompressed"):
        """Publish this content, compressed where the name ends in .gz, and return the remote file that reads it."""
        published = gzip.compress(content) if name.endswith(".gz") else content
        (self.folder / name).write_bytes(published)
        md5 = md5_of({"decompressed": content, "file": published}[md5_of_bytes])
        return RemoteFile(f"set/{name}", f"{self.url}/{name}", md5, md5_of_bytes)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(tmp_path / "published")
    yield server
    server.stop()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def files_in(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("md5_of_bytes", ["decompressed", "file"])
def test_a_file_is_downloaded_once_and_then_read_from_the_cache(server, cache, md5_of_bytes):
    file = server.publish(idx_bytes(ARRAY), md5_of_bytes=md5_of_bytes)
    assert (read_idx(file, cache) == ARRAY).all()
    assert files_in(cache) == ["file.gz"]  # no partial file is left
    server.stop()
    assert (read_idx(file, cache) == ARRAY).all()


def test_a_download_prints_nothing(server, cache, capfd):
    server.publish(idx_bytes(ARRAY)).locate(cache)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("md5_of_bytes", ["decompressed", "file"])
def test_a_file_that_is_not_compressed(server, cache, md5_of_bytes):
    file = server.publish(b"some words", "file.txt", md5_of_bytes)
    assert file.read(cache) == b"some words"
    (cache / "set" / "file.txt").write_text("some")
    with pytest.raises(WorldFault, match=r"file\.txt is not the published file"):
        file.read(cache)


def test_a_file_in_the_cache_is_read_without_pooch_and_without_network(server, cache, monkeypatch):
    file = server.publish(idx_bytes(ARRAY))
    file.locate(cache)
    monkeypatch.setitem(sys.modules, "pooch", None)  # importing it raises ImportError
    with no_downloads():
        assert (read_idx(file, cache) == ARRAY).all()


def test_a_missing_file_without_pooch_says_what_to_install(server, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(WorldFault, match=r"file\.gz is missing, .*pip install pooch"):
        server.publish(idx_bytes(ARRAY)).read(cache)


def test_no_downloads_forbids_them_within_the_block(server, cache):
    file = server.publish(idx_bytes(ARRAY))
    with no_downloads(), pytest.raises(WorldFault, match=r"file\.gz does not exist yet"):
        file.read(cache)
    assert not cache.exists()
    assert (read_idx(file, cache) == ARRAY).all()


@pytest.mark.parametrize("reason", ["no server", "no such file"])
def test_a_failed_download_says_what_is_missing_and_what_to_do(server, cache, reason):
    file = server.publish(idx_bytes(ARRAY))
    if reason == "no server":
        server.stop()
    else:
        (server.folder / "file.gz").unlink()
    with pytest.raises(WorldFault, match=rf"file\.gz is missing and could not be .* {file.url} .*SEARCHLAB_DATA"):
        read_idx(file, cache)
    assert not files_in(cache)


def test_a_download_that_ends_early_leaves_no_file(server, cache, monkeypatch):
    def send_part(self, source, output):
        output.write(source.read(9))

    monkeypatch.setattr(QuietHandler, "copyfile", send_part)
    with pytest.raises(WorldFault, match=r"file\.gz is missing and could not be downloaded"):
        server.publish(idx_bytes(ARRAY)).read(cache)
    assert not files_in(cache)


def test_a_folder_that_cannot_be_written_is_reported(server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(WorldFault, match="is missing and could not be downloaded"):
        read_idx(server.publish(idx_bytes(ARRAY)), cache)


def test_a_download_with_another_md5_is_rejected(server, cache):
    file = server.publish(idx_bytes(ARRAY), md5_of_bytes="file")
    with pytest.raises(WorldFault, match=r"file\.gz .*could not be downloaded"):
        read_idx(RemoteFile(file.path, file.url, "0" * 32, "file"), cache)
    assert not files_in(cache)


def test_decompressed_bytes_with_another_md5_are_rejected(server, cache):
    file = server.publish(idx_bytes(ARRAY))
    with pytest.raises(WorldFault, match=rf"MD5 {file.md5}, expected 0000.*delete it"):
        read_idx(RemoteFile(file.path, file.url, "0" * 32), cache)


def test_an_md5_is_of_the_bytes_that_its_publisher_chose(server, cache):
    of_file = server.publish(idx_bytes(ARRAY), md5_of_bytes="file")
    of_content = RemoteFile(of_file.path, of_file.url, md5_of(idx_bytes(ARRAY)))
    assert (read_idx(of_file, cache) == ARRAY).all()
    with pytest.raises(WorldFault, match="is not the published file"):
        read_idx(RemoteFile(of_file.path, of_file.url, of_file.md5), cache)
    (cache / of_file.path).write_bytes(gzip.compress(idx_bytes(ARRAY), compresslevel=1))  # compressed differently
    with pytest.raises(WorldFault, match="is not the published file"):
        read_idx(of_file, cache)
    assert (read_idx(of_content, cache) == ARRAY).all()


@pytest.mark.parametrize("md5_of_bytes", ["decompressed", "file"])
@pytest.mark.parametrize(
    "corrupt",
    [
        lambda content: content[:-9],
        lambda content: b"not gzip at all",
        lambda content: b"",
        lambda content: content[:12] + b"\xff" * 9,
    ],
    ids=["truncated", "not gzip", "empty", "garbled"],
)
def test_a_broken_file_in_the_cache_is_rejected(server, cache, corrupt, md5_of_bytes):
    file = server.publish(idx_bytes(ARRAY), md5_of_bytes=md5_of_bytes)
    (cache / "set").mkdir(parents=True)
    (cache / file.path).write_bytes(corrupt(gzip.compress(idx_bytes(ARRAY))))
    with pytest.raises(WorldFault, match=r"cannot be decompressed|is not the published file"):
        read_idx(file, cache)


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (1, 28, 28), (0, 3)])
def test_idx_of_any_shape(shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    parsed = parse_idx(idx_bytes(array), "file")
    assert parsed.shape == shape
    assert (parsed == array).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file of unsigned bytes"),
        (b"\0\0\x08", "not an IDX file of unsigned bytes"),
        (idx_bytes(ARRAY, b"\x1f\x8b\x08\x03"), "not an IDX file of unsigned bytes"),
        (idx_bytes(ARRAY, b"\0\0\x0d\x03"), "not an IDX file of unsigned bytes"),
        (b"\0\0\x08\0\x05", "not an IDX file of unsigned bytes"),
        (b"\0\0\x08\x03", "too short or too long"),
        (b"\0\0\x08\x03\0\0\0\x02\0\0", "too short or too long"),
        (idx_bytes(ARRAY)[:-1], r"too short or too long for its header \(2, 3, 4\)"),
        (idx_bytes(ARRAY) + b"\0", r"too short or too long for its header \(2, 3, 4\)"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "too short or too long"),
    ],
)
def test_malformed_idx_is_rejected(content, message):
    with pytest.raises(WorldFault, match=message):
        parse_idx(content, "file")


DATASETS = {"mnist": Mnist, "fashion-mnist": FashionMnist}


@pytest.fixture(params=MODULES)
def small_images(request, tmp_path, monkeypatch):
    """The name, the data folder and the arrays of each image data set, in miniature."""
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    return request.param, tmp_path, write_images(tmp_path, monkeypatch, request.param)


def test_images_are_rows_between_0_and_1(small_images):
    name, _, arrays = small_images
    dataset = DATASETS[name]
    training, testing = dataset().training(), dataset().testing()
    assert training.x.dtype == np.float32
    assert training.x == pytest.approx(arrays["TRAIN_IMAGES"].reshape(7, 784) / 255.0)
    assert (training.y == arrays["TRAIN_LABELS"]).all()
    assert (testing.y == arrays["TEST_LABELS"]).all()
    assert training.sizes == (784, 10)
    assert training.image_shape == testing.image_shape == (28, 28)
    assert len(set(training.target_names)) == 10
    assert (dataset(limit=5).training().x == training.x[:5]).all()
    assert len(dataset(limit=5).testing()) == 3


def test_images_that_are_missing_are_downloaded_or_reported(small_images, server, monkeypatch):
    name, folder, arrays = small_images
    labels = folder / name / mnist.TRAIN_LABELS[0]
    content = labels.read_bytes()
    labels.unlink()
    monkeypatch.setattr(MODULES[name], "BASE_URL", f"{server.url}/")
    with pytest.raises(WorldFault, match=r"train-labels-idx1-ubyte\.gz is missing and could not be downloaded"):
        DATASETS[name]().training()
    assert len(DATASETS[name]().testing()) == 3  # needs the other files only
    (server.folder / labels.name).write_bytes(content)
    assert (DATASETS[name]().training().y == arrays["TRAIN_LABELS"]).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(7, dtype=np.uint8) + 4, "has the label 10, and there are 10 classes"),
        (np.zeros(6, np.uint8), r"array of shape \(7, 28, 28\) and .* one of shape \(6,\)"),
        (np.zeros((7, 1), np.uint8), "each image needs one label"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_rejected(small_images, monkeypatch, labels, message):
    name, folder, _ = small_images
    write_images(folder, monkeypatch, name, TRAIN_LABELS=labels)
    with pytest.raises(WorldFault, match=message):
        DATASETS[name]().training()


@pytest.mark.parametrize("dataset", DATASETS.values())
def test_a_limit_keeps_at_least_one_row(dataset):
    with pytest.raises(UserMistake, match=rf"^{dataset.__name__}\(limit=\.\.\.\) .*, got 0"):
        dataset(limit=0)


def test_fashion_mnist_has_class_names():
    assert [fashion_mnist.CLASS_NAMES[label] for label in (0, 6, 9)] == ["t-shirt/top", "shirt", "ankle boot"]
    assert len(set(fashion_mnist.CLASS_NAMES)) == 10


def test_digits_without_scikit_learn_are_reported(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WorldFault, match="pip install scikit-learn"):
        Digits().training()


def test_digits_without_their_file_are_reported(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec)
    with pytest.raises(WorldFault, match=r"cannot read .*digits\.csv\.gz .*reinstall scikit-learn"):
        Digits().training()


def test_the_data_folder_is_set_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "named"))
    assert data_folder() == tmp_path / "named"
    monkeypatch.setenv("SEARCHLAB_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "searchlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".cache" / "searchlab"


def test_an_absolute_path_that_does_not_exist_is_not_searched_elsewhere(tmp_path):
    with pytest.raises(UserMistake, match=r"no file .*/missing\.csv\.$"):
        find_file(str(tmp_path / "missing.csv"))

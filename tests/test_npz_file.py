"""Files of a few megabytes that unpack to gigabytes, and shapes that cannot be: told before memory is taken."""

import io
import resource
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from searchlab.data import Npz
from searchlab.data.npz_file import load_npz
from searchlab.errors import UserMistake

Y = np.arange(30) % 2
MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "data"))


def header(shape, dtype="'<f8'", version=1):
    """Return the header of an .npy with this shape, as text that NumPy reads."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


def write(x, name="data.npz"):
    """Write an .npz whose array x has these bytes."""
    y = io.BytesIO()
    np.save(y, Y)
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y.getvalue())


def write_bomb(path="data.npz", rows=1 << 29):
    """Write an .npz of some megabytes whose array x unpacks to 8 bytes for each row."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as file:
            file.write(header((rows, 1)))
            for _ in range(rows * 8 // MEGABYTE):
                file.write(bytes(MEGABYTE))
        archive.writestr("y.npy", header((rows,), "'|u1'") + bytes(rows))


def memory_taken(function):
    """Return the mistake that a call raises, and the most bytes that it took at once."""
    tracemalloc.start()
    try:
        with pytest.raises(UserMistake) as mistake:
            function()
        return str(mistake.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_file_that_unpacks_to_more_than_is_free_is_refused(monkeypatch):
    """Here 512 MB and 64 MB free; the sentence names file, array, and both sizes."""
    monkeypatch.setattr("searchlab.data.npz_file.available_memory", lambda: 64_000_000)
    write_bomb(rows=1 << 26)
    sentence, taken = memory_taken(Npz("data.npz").training)
    assert taken < 4 * MEGABYTE
    assert all(part in sentence for part in ("data.npz", "array x", "(67108864, 1)", "64.0 MB", "1.1 GB"))


def test_the_same_file_is_read_where_memory_permits(monkeypatch):
    rows = 1 << 17
    write_bomb(rows=rows)
    needed = rows * (8 + 4) + rows * (1 + 4)
    monkeypatch.setattr("searchlab.data.npz_file.available_memory", lambda: needed)
    arrays, keys = load_npz(Path("data.npz"), ["x", "y"])
    assert keys == ["x", "y"]
    assert arrays["x"].shape == (rows, 1)
    monkeypatch.setattr("searchlab.data.npz_file.available_memory", lambda: needed - 1)
    with pytest.raises(UserMistake):
        load_npz(Path("data.npz"), ["x", "y"])


@pytest.mark.parametrize(
    "shape",
    [
        (10**18, 1),
        (10**6, 10**6, 10**6),
        (2**63, 2**63),
        (2**64, 1),
        (2**32, 2**32),  # 0 as an int64
        (-1, 8),
        (-4, -2),
        (True, 64),
        (31, 2),
        (1, 1),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_shape_that_the_content_does_not_have_is_refused(shape, version):
    write(header(shape, version=version) + bytes(64 * 8))
    sentence, taken = memory_taken(Npz("data.npz").training)
    assert taken < 4 * MEGABYTE
    assert "data.npz: the array x declares" in sentence
    assert str(shape) in sentence


def test_an_array_of_values_without_bytes_is_refused():
    write(header((10**12, 1), "'<U0'"))
    sentence, taken = memory_taken(Npz("data.npz").training)
    assert "array x" in sentence
    assert taken < 4 * MEGABYTE


def test_an_npy_that_declares_a_huge_shape_has_no_key(tmp_path):
    (tmp_path / "data.npy").write_bytes(header((10**18, 1)))
    sentence, taken = memory_taken(Npz("data.npy").training)
    assert "has no key 'x'" in sentence
    assert taken < 4 * MEGABYTE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",  # a header of 4 GB
        b"\x93NUMPY\x03\x00\x02\x00\x00\x00{}",
        header("(" * 3000 + ")" * 3000),
        header("(__import__('os').getpid(),)"),
        header((30, 2), "'|O'") + bytes(60 * 8),
        header((30, 2), "'nonsense'"),
        header((30, 2), "None") + bytes(60),
    ],
    ids=range(9),
)
def test_a_header_that_cannot_be_read_is_a_mistake(content):
    write(content)
    with pytest.raises(UserMistake, match=r"data\.npz cannot be read as an \.npz of plain arrays"):
        Npz("data.npz").training()


def test_a_header_that_unpacks_to_gigabytes_is_not_unpacked():
    """NumPy reads the whole header before it compares its length with a limit."""
    length = 64 * MEGABYTE
    write(b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + b" " * length)
    tracemalloc.start()
    with pytest.raises(UserMistake):
        Npz("data.npz").training()
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 4 * MEGABYTE


def test_a_size_in_the_zip_that_is_wrong_does_not_matter():
    """The entry claims to hold what the header declares, and its data end before."""
    write(header((4096, 8)) + bytes(64))
    content = bytearray((Path("data.npz")).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = (len(header((4096, 8))) + 4096 * 64).to_bytes(4, "little")
    Path("data.npz").write_bytes(content)
    with pytest.raises(UserMistake):
        Npz("data.npz").training()


def test_memory_that_a_limit_of_the_process_denies_is_told_in_a_sentence(monkeypatch):
    """As with `ulimit -v`, where the machine has more memory than the process may take."""
    monkeypatch.setattr("searchlab.data.npz_file.available_memory", lambda: None)
    write_bomb(rows=1 << 26)
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 64 * MEGABYTE, before[1]))
    try:
        with pytest.raises(UserMistake, match=r"data\.npz.* memory for the array x"):
            Npz("data.npz").training()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

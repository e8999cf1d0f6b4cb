"""The archive of a project that is sent to a cluster: the files that git would track, without secrets."""

import json
import re
import subprocess
import zipfile

import pytest

from searchlab.errors import UserMistake
from searchlab.project import ARCHIVE_MARKER, project_root
from searchlab.runs import project_archive
from searchlab.runs.project_archive import copy_project, files_of, pack
from searchlab.runs.provenance import provenance


@pytest.fixture
def root(tmp_path):
    """A project with code, ignored data, secrets, and files that tools create."""
    root = tmp_path / "project"
    for name, text in {
        "pyproject.toml": "",
        ".gitignore": "*.npz\n/runs/\n!keep.npz\n",
        "models/mlp.py": "x = 1",
        "models/big.npz": "0" * 1000,
        "models/keep.npz": "0",
        "models/.gitignore": "scratch.py\n!/wanted.npz\n",
        "models/scratch.py": "",
        "models/wanted.npz": "",
        "runs/1.txt": "",
        "search_spaces/runs/2.txt": "",
        ".env": "SECRET=1",
        ".env.head": "SECRET=2",
        ".venv/lib/x.py": "",
        ".searchlab/sweeps/a/study.journal": "",
        "models/__pycache__/mlp.pyc": "",
        "thing.egg-info/PKG-INFO": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_files_of_a_project_exclude_ignored_files_secrets_and_caches(root):
    assert [path.as_posix() for path in files_of(root)] == [
        ".gitignore", "models/.gitignore", "models/keep.npz", "models/mlp.py", "models/wanted.npz", "pyproject.toml",
        "search_spaces/runs/2.txt",
    ]  # fmt: skip


def test_the_files_of_a_project_are_those_that_git_lists(root):
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    paths = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    names = "|".join(map(re.escape, project_archive.EXCLUDED))
    excluded = re.compile(rf"(^|/)({names}|\.env[^/]*|[^/]*\.egg-info)(/|$)")
    assert [path.as_posix() for path in files_of(root)] == sorted(path for path in paths if not excluded.search(path))


def test_the_same_files_make_the_same_archive(root, tmp_path):
    pack(root, tmp_path / "a.zip")
    (root / "models" / "mlp.py").touch()
    pack(root, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert ARCHIVE_MARKER in names
    assert ".env" not in names


def test_a_project_that_is_too_large_is_rejected_with_its_largest_files(root, tmp_path, monkeypatch):
    monkeypatch.setattr(project_archive, "MAX_BYTES", 1500)
    (root / "data.csv").write_text("1" * 1200)
    (root / "more.csv").write_text("1" * 400)
    with pytest.raises(UserMistake, match=r"at most 1\.5 kB .*data\.csv \(1\.2 kB\), more\.csv \(400 B\)"):
        pack(root, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    with pytest.raises(UserMistake, match=r"largest files are data\.csv"):
        copy_project(root, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_copy_of_a_project_replaces_an_earlier_copy_completely(root, tmp_path):
    copy = tmp_path / "sweep" / "project"
    copy_project(root, copy)
    (root / "models" / "mlp.py").rename(root / "models" / "other.py")
    copy_project(root, copy)
    assert sorted(path.name for path in (copy / "models").glob("*.py")) == ["other.py"]
    assert [path.name for path in copy.parent.iterdir()] == ["project"]


def test_a_copied_project_has_the_provenance_of_the_original(root, tmp_path):
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), "add", "."], check=True)
    subprocess.run(["git", "-C", str(root), *author, "commit", "-qm", "first"], check=True)
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    copy_project(root, tmp_path / "copy")
    assert provenance(tmp_path / "copy")["git.commit"] == commit == provenance(root)["git.commit"]
    assert json.loads((tmp_path / "copy" / ARCHIVE_MARKER).read_text())["git.dirty"] == "false"
    copy_project(tmp_path / "copy", tmp_path / "copy-of-copy")
    assert provenance(tmp_path / "copy-of-copy")["git.commit"] == commit


def test_the_project_root_of_an_unpacked_archive_is_its_folder(tmp_path):
    root = tmp_path / "unpacked"
    (root / "search_spaces").mkdir(parents=True)
    (root / ARCHIVE_MARKER).write_text("{}")
    assert project_root(root / "search_spaces" / "a.py") == root

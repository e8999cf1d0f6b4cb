"""A project as it travels: what git would keep of it, the same bytes each time, and never its secrets."""

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
    """A project with code, data that .gitignore names, secrets and what tools leave behind."""
    made = tmp_path / "project"
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
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


def test_what_travels_is_what_git_would_keep(root):
    assert [path.as_posix() for path in files_of(root)] == [
        ".gitignore", "models/.gitignore", "models/keep.npz", "models/mlp.py", "models/wanted.npz", "pyproject.toml",
        "search_spaces/runs/2.txt",
    ]  # fmt: skip


def test_it_is_what_git_says_itself(root):
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    never = re.compile(rf"(^|/)({'|'.join(map(re.escape, project_archive.EXCLUDED))}|\.env[^/]*|[^/]*\.egg-info)(/|$)")
    assert [path.as_posix() for path in files_of(root)] == sorted(path for path in listed if not never.search(path))


def test_the_same_files_are_the_same_package(root, tmp_path):
    pack(root, tmp_path / "a.zip")
    (root / "models" / "mlp.py").touch()
    pack(root, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert ARCHIVE_MARKER in names
    assert ".env" not in names


def test_too_much_is_refused_by_its_largest_files(root, tmp_path, monkeypatch):
    monkeypatch.setattr(project_archive, "MAX_BYTES", 1500)
    (root / "data.csv").write_text("1" * 1200)
    (root / "more.csv").write_text("1" * 400)
    with pytest.raises(UserMistake, match=r"at most 1\.5 kB .*data\.csv \(1\.2 kB\), more\.csv \(400 B\)"):
        pack(root, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    with pytest.raises(UserMistake, match=r"largest files are data\.csv"):
        copy_project(root, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_kept_project_is_replaced_whole(root, tmp_path):
    kept = tmp_path / "sweep" / "project"
    copy_project(root, kept)
    (root / "models" / "mlp.py").rename(root / "models" / "other.py")
    copy_project(root, kept)
    assert sorted(path.name for path in (kept / "models").glob("*.py")) == ["other.py"]
    assert [path.name for path in kept.parent.iterdir()] == ["project"]


def test_a_project_that_was_sent_says_where_it_comes_from(root, tmp_path):
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), "add", "."], check=True)
    subprocess.run(["git", "-C", str(root), *author, "commit", "-qm", "one"], check=True)
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    copy_project(root, tmp_path / "kept")
    assert provenance(tmp_path / "kept")["git.commit"] == commit == provenance(root)["git.commit"]
    assert json.loads((tmp_path / "kept" / ARCHIVE_MARKER).read_text())["git.dirty"] == "false"
    copy_project(tmp_path / "kept", tmp_path / "again")
    assert provenance(tmp_path / "again")["git.commit"] == commit


def test_the_root_of_what_was_sent_is_where_it_lies(tmp_path):
    (tmp_path / "sent" / "search_spaces").mkdir(parents=True)
    (tmp_path / "sent" / ARCHIVE_MARKER).write_text("{}")
    assert project_root(tmp_path / "sent" / "search_spaces" / "a.py") == tmp_path / "sent"

"""The locks of the images: they follow pyproject.toml, and a change by hand or a package without a hash is found."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("lock", ROOT / "deploy" / "lock.py")
lock = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lock)


@pytest.fixture
def folder(tmp_path):
    """A copy of the locks and of pyproject.toml."""
    shutil.copytree(lock.FOLDER, tmp_path, dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def faults(folder, name="cpu"):
    """Return what is wrong with a lock of the copy."""
    return list(lock.faults(name, folder, folder / "pyproject.toml"))


def change(path, old, new):
    """Replace a text, which must be there."""
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def sealed(path):
    """Give a changed lock the right sum, as somebody could who means it."""
    header, _, text = path.read_text().partition("\n")
    path.write_text(re.sub(r"have sha256 \w+", f"have sha256 {lock.digest(text)}", header) + "\n" + text)


@pytest.mark.parametrize("name", lock.LOCKS)
def test_the_locks_follow_pyproject(name, folder):
    assert faults(folder, name) == []


def test_the_check_is_a_command():
    assert lock.main(["--check"]) == 0


@pytest.mark.parametrize(("name", "old", "new"), [("cpu", "rich>=13.9,<16", "rich>=13.9,<17"), ("gpu", "cupy", "cup")])
def test_other_requirements_need_a_new_lock(name, old, new, folder):
    change(folder / "pyproject.toml", old, new)
    assert any("other requirements" in fault for fault in faults(folder, name))


def test_a_lock_that_was_changed_by_hand_is_found(folder):
    change(folder / "cpu.txt", "--hash=sha256:0", "--hash=sha256:1")
    assert any("by hand" in fault for fault in faults(folder))


def test_a_package_without_a_hash_or_an_exact_version_is_found(folder):
    text = (folder / "cpu.txt").read_text()
    (folder / "cpu.txt").write_text(f"{text}harmless==1.0\nother>=2.0 \\\n    --hash=sha256:{'0' * 64}\n")
    sealed(folder / "cpu.txt")
    found = faults(folder)
    assert any("harmless==1.0" in fault for fault in found)
    assert any("other>=2.0" in fault for fault in found)
    assert len(found) == 2


def test_a_version_that_pyproject_does_not_allow_is_found(folder):
    text = (folder / "cpu.txt").read_text()
    (folder / "cpu.txt").write_text(re.sub(r"^optuna==[\d.]+", "optuna==4.0.0", text, flags=re.MULTILINE))
    sealed(folder / "cpu.txt")
    (fault,) = faults(folder)
    assert "optuna" in fault


def test_a_missing_lock_is_found(folder):
    (folder / "gpu.txt").unlink()
    assert any("missing" in fault for fault in faults(folder, "gpu"))


def test_images_install_nothing_that_has_no_hash():
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip[^&\n]* install [^&\n]*", text)
    of_locks = [line for line in installs if "--require-hashes --only-binary :all:" in line]
    own_wheel = [line for line in installs if "--no-deps" in line and line.strip().endswith("/wheels/*.whl")]
    assert len(of_locks) == len(lock.LOCKS)
    assert len(installs) == len(of_locks) + len(own_wheel)
    assert {Path(name).stem for name in re.findall(r"requirements/\w+\.txt", text)} == set(lock.LOCKS)
    assert "pip wheel --no-deps --no-build-isolation --no-index" in text


def test_images_have_an_exact_tag():
    files = [ROOT / name for name in ("Dockerfile", "docker-compose.yml", "deploy/kuberay.yaml")]
    images = {
        name for path in files for name in re.findall(r"^\s*(?:image:|FROM) (\S+)", path.read_text(), re.MULTILINE)
    }
    foreign = {image for image in images if ":" in image and not image.startswith("searchlab:")}
    assert foreign == {"postgres:17.6-bookworm", "python:${PYTHON}-slim-bookworm"}

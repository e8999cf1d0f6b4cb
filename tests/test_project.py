"""The project of a sweep: its root, and that its modules win over others of the same name."""

from __future__ import annotations

import subprocess
import sys

import cloudpickle
import pytest

from searchlab.engine.payload import JobPayload
from searchlab.errors import UserMistake
from searchlab.project import import_first_from, import_folder, use_project


@pytest.fixture
def fresh_imports(monkeypatch):
    """The import state of a process that has imported none of the packages of these tests."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = ("rooms", "rooms.hall")
    yield
    for name in names:
        sys.modules.pop(name, None)


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def make(root, where, *, package=True):
    """Make a project with the package `rooms`, whose module `hall` says where it is."""
    write(root, "pyproject.toml", "")
    if package:
        write(root, "rooms/__init__.py", "")
    write(root, "rooms/hall.py", f"WHERE = {where!r}\n")
    return root


@pytest.mark.parametrize("package", [True, False])
def test_a_project_wins_over_a_package_of_the_same_name_further_down_the_path(tmp_path, fresh_imports, package):
    other, own = make(tmp_path / "other", "other"), make(tmp_path / "own", "own", package=package)
    sys.path[:0] = [str(other), str(own)]
    import_first_from(own)
    from rooms.hall import WHERE

    assert WHERE == "own"
    assert sys.path.count(str(own)) == 1
    assert import_folder("rooms.hall") == own


@pytest.mark.parametrize("package", [True, False])
def test_a_second_project_with_modules_of_the_same_name_is_refused(tmp_path, fresh_imports, package):
    first, second = make(tmp_path / "first", "first"), make(tmp_path / "second", "second", package=package)
    import_first_from(first)
    import rooms.hall

    before = [*sys.path]
    with pytest.raises(UserMistake, match=r"'rooms' from .*first.*second has other code"):
        import_first_from(second)
    assert sys.path == before
    import_first_from(first)
    assert rooms.hall.WHERE == "first"


def test_use_project_finds_the_root_above_a_subfolder(tmp_path, fresh_imports, monkeypatch):
    root = make(tmp_path / "mine", "mine")
    (root / "notebooks" / "june").mkdir(parents=True)
    monkeypatch.chdir(root / "notebooks" / "june")
    assert use_project() == root
    assert use_project(root / "notebooks") == root
    from rooms.hall import WHERE

    assert WHERE == "mine"


def test_a_folder_of_data_or_of_an_installed_package_is_no_conflict(tmp_path, fresh_imports):
    root = make(tmp_path / "mine", "mine")
    write(root, "numpy/notes.txt", "")
    write(root, "json/tool.py", "")
    import_first_from(root)
    import_first_from(root / "missing")


def test_a_copy_of_a_project_is_no_conflict(tmp_path, fresh_imports):
    first, second = make(tmp_path / "first", "here"), make(tmp_path / "second", "here")
    import_first_from(first)
    import rooms.hall  # noqa: F401, imported for its entry in sys.modules

    import_first_from(second)
    write(second, "rooms/attic.py", "")
    with pytest.raises(UserMistake):
        import_first_from(second)


def test_links_to_the_same_files_are_no_conflict(tmp_path, fresh_imports):
    first, second = make(tmp_path / "first", "first"), tmp_path / "second"
    second.mkdir()
    (second / "rooms").symlink_to(first / "rooms")
    import_first_from(first)
    import rooms.hall  # noqa: F401, imported for its entry in sys.modules

    import_first_from(second)


def test_a_worker_imports_from_the_project_first(tmp_path, fresh_imports):
    other, own = make(tmp_path / "other", "other"), make(tmp_path / "own", "own", package=False)
    for root in (other, own):
        write(root, "rooms/hall.py", f"class Hall:\n    where = {root.name!r}\n")
    import_first_from(own)
    from rooms.hall import Hall

    payload = JobPayload("mine", cloudpickle.dumps(Hall), own)
    del sys.modules["rooms"], sys.modules["rooms.hall"]
    sys.path.insert(0, str(other))  # as in a process that Ray starts
    assert payload.open().where == "own"


def test_a_module_of_python_or_of_an_installed_package_has_no_import_folder():
    assert [import_folder(name) for name in ("json", "numpy", "__main__", "no.such")] == [None] * 4


def test_the_process_that_times_structures_imports_from_the_project_first(tmp_path):
    """Without `__init__.py`, `models` of a clone on the path would win there."""
    root = make(tmp_path / "mine", "mine", package=False)
    other = make(tmp_path / "other", "other")
    code = (
        "import io, os, sys; from searchlab.estimate import timing; timing.cloudpickle.load = lambda stream: None\n"
        "def measure(request):\n    import rooms.hall\n    return rooms.hall.WHERE\n"
        "timing.measure_request = measure; timing.main(sys.argv[1])"
    )
    path = {"PYTHONPATH": f"{other}:{':'.join(filter(None, sys.path))}"}
    finished = subprocess.run([sys.executable, "-c", code, str(root)], env=path, capture_output=True, check=True)
    assert b"mine" in finished.stdout

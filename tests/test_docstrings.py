"""Public documentation: every argument of a public name is described, and every example runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from typing import Any

import numpy as np
import pytest

import searchlab

ROOMS = (
    "searchlab.data",
    "searchlab.nn",
    "searchlab.optim",
    "searchlab.pruning",
    "searchlab.space",
    "searchlab.testing",
)
OTHERS = ("searchlab.artifact.Artifact", "searchlab.artifact.load", "searchlab.runs.config.RunConfig")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def public():
    """Every public name, with what it stands for."""
    names = [*searchlab.__all__, "open"]
    found = {f"searchlab.{name}": getattr(searchlab, name) for name in names if name != "artifact"}
    for room in ROOMS:
        module = importlib.import_module(room)
        found |= {f"{room}.{name}": getattr(module, name) for name in module.__all__}
    for path in OTHERS:
        module, _, name = path.rpartition(".")
        found[path] = getattr(importlib.import_module(module), name)
    once = {}
    for path, thing in found.items():
        if thing is not Any and (inspect.isclass(thing) or inspect.isfunction(thing)):
            once.setdefault(id(thing), (path, thing))
    return dict(once.values())


PUBLIC = public()


def arguments_of(thing):
    """The arguments that a caller gives, of a function or of a class's constructor."""
    if inspect.isclass(thing) and (issubclass(thing, Exception) or getattr(thing, "_is_protocol", False)):
        return []
    names = [*inspect.signature(thing).parameters]
    return [name for name in names if name not in ("self", "replicas", "args", "kwargs")]


def documented(text):
    """The names under Args: or Attributes: of a docstring."""
    found = set()
    for section in re.findall(r"^(?:Args|Attributes):\n((?:    .*\n?|\n)*)", text + "\n", re.MULTILINE):
        found |= set(re.findall(r"^    \*{0,2}(\w+)(?: \([^)]*\))?:", section, re.MULTILINE))
    return found


@pytest.mark.parametrize("path", PUBLIC)
def test_every_argument_is_documented(path):
    text = inspect.getdoc(PUBLIC[path]) or ""
    assert text, f"{path} has no docstring"
    missing = set(arguments_of(PUBLIC[path])) - documented(text)
    assert not missing, f"{path} does not describe {', '.join(sorted(missing))}"


@pytest.mark.parametrize("path", [path for path, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_every_public_class_has_an_example(path):
    if not issubclass(PUBLIC[path], Exception):
        assert ">>> " in (inspect.getdoc(PUBLIC[path]) or ""), f"{path} has no example"


@pytest.mark.parametrize("path", PUBLIC)
def test_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thing, globs = PUBLIC[path], {"getfixture": {"tmp_path": tmp_path}.__getitem__, "__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said = []
    # the text alone: what a class inherits is tried where it is written
    example = doctest.DocTestParser().get_doctest(thing.__doc__ or "", globs, path, None, None)
    with np.errstate(all="raise"):
        failed, _ = runner.run(example, out=said.append)
    assert not failed, "".join(said)


def test_what_is_missing_is_found():
    def undocumented(first, second=2):
        """Return nothing.

        Args:
            first: A number.
        """

    assert set(arguments_of(undocumented)) - documented(inspect.getdoc(undocumented)) == {"second"}
    assert len(PUBLIC) > 90

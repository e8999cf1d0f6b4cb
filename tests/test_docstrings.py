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

PACKAGES = (
    "searchlab.data",
    "searchlab.tables",
    "searchlab.nn",
    "searchlab.optim",
    "searchlab.pruning",
    "searchlab.space",
    "searchlab.testing",
)
OTHER_NAMES = ("searchlab.artifact.Artifact", "searchlab.artifact.load", "searchlab.runs.config.RunConfig")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def public_objects():
    """Return every public class and function once, by its path."""
    names = [*searchlab.__all__, "open"]
    objects = {f"searchlab.{name}": getattr(searchlab, name) for name in names if name != "artifact"}
    for package in PACKAGES:
        module = importlib.import_module(package)
        objects |= {f"{package}.{name}": getattr(module, name) for name in module.__all__}
    for path in OTHER_NAMES:
        module, _, name = path.rpartition(".")
        objects[path] = getattr(importlib.import_module(module), name)
    by_identity = {}
    for path, value in objects.items():
        if value is not Any and (inspect.isclass(value) or inspect.isfunction(value)):
            by_identity.setdefault(id(value), (path, value))
    return dict(by_identity.values())


PUBLIC = public_objects()


def arguments_of(value):
    """Return the names of the arguments of a function, or of a class's constructor."""
    if inspect.isclass(value) and (issubclass(value, Exception) or getattr(value, "_is_protocol", False)):
        return []
    names = [*inspect.signature(value).parameters]
    return [name for name in names if name not in ("self", "replicas", "args", "kwargs")]


def documented_names(text):
    """Return the names under Args: or Attributes: of a docstring."""
    names = set()
    for section in re.findall(r"^(?:Args|Attributes):\n((?:    .*\n?|\n)*)", text + "\n", re.MULTILINE):
        names |= set(re.findall(r"^    \*{0,2}(\w+)(?: \([^)]*\))?:", section, re.MULTILINE))
    return names


@pytest.mark.parametrize("path", PUBLIC)
def test_every_argument_is_documented(path):
    text = inspect.getdoc(PUBLIC[path]) or ""
    assert text, f"{path} has no docstring"
    missing = set(arguments_of(PUBLIC[path])) - documented_names(text)
    assert not missing, f"{path} does not describe {', '.join(sorted(missing))}"


@pytest.mark.parametrize("path", [path for path, value in PUBLIC.items() if inspect.isclass(value)])
def test_every_public_class_has_an_example(path):
    if not issubclass(PUBLIC[path], Exception):
        assert ">>> " in (inspect.getdoc(PUBLIC[path]) or ""), f"{path} has no example"


@pytest.mark.parametrize("path", PUBLIC)
def test_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PUBLIC[path].__doc__ or ""  # an inherited docstring is run with the class that it is written in
    variables = {"__name__": "__main__"}
    runner, output = doctest.DocTestRunner(optionflags=FLAGS), []
    example = doctest.DocTestParser().get_doctest(text, variables, path, None, None)
    with np.errstate(all="raise"):
        failed, _ = runner.run(example, out=output.append)
    assert not failed, "".join(output)


def test_an_undocumented_argument_is_found():
    def undocumented(first, second=2):
        """Return nothing.

        Args:
            first: A number.
        """

    assert set(arguments_of(undocumented)) - documented_names(inspect.getdoc(undocumented)) == {"second"}
    assert len(PUBLIC) > 90

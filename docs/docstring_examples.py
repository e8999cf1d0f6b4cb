"""A griffe extension: the section "Example:" of a docstring becomes "Examples:", which is rendered as code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

HEADING = re.compile(r"^( *)Example:$", re.MULTILINE)


class DocstringExamples(Extension):
    """Renames the section in every docstring; the documentation site shows it as code with its output."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section in the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = HEADING.sub(r"\1Examples:", obj.docstring.value)

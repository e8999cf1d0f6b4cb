"""The text of a new project's first sweep file, and of its README."""

from __future__ import annotations

import re
from pathlib import Path

from searchlab.new_project.data_source import FOLDS, DataSource, can_stratify, literal, one_line

FILE = "search_spaces/first.py"
LINE_WIDTH = 120
MANY_ROWS = 10_000  # from here on with larger batches and fewer epochs
README = """# {name}

Networks, and searches for their best hyperparameters by searchlab. `models/` holds the networks, which are yours to
change, and `search_spaces/` the sweep files.

    searchlab show search_spaces/first.py  # what is searched, what is fixed, how much memory it takes
    searchlab plan search_spaces/first.py  # how long it takes on this machine
    searchlab run search_spaces/first.py   # searches, chooses the winner, tests and exports it

In Python: `from search_spaces.first import sweep; sweep.run()`; in a subfolder, call `searchlab.use_project()` before.
"""
HEAD = '''"""Search {question}.

Run it with `searchlab run {file}`.
"""

'''
ROW_SWEEP = """sweep = Sweep(
    name={name},
    data={data},
    validation={validation},
    metric={metric}(),
    model=Space(MLP, hidden=Choice(32, 64, 128), layers=Int(1, 3), dropout=Float(0.0, 0.5){loss}),
    optimizer=Space(Adam, lr=Float(1e-3, 3e-2, log=True)),
    training=Space(Trainer, batch_size=Choice({batch_sizes}), epochs={epochs}),
    trials=20,
)
"""
TEXT_SWEEP = """sweep = Sweep(
    name={name},
    data={data},
    validation=Holdout(0.2),
    metric={metric}(),
    model=Space(RnnLM, cell=Choice("gru", "lstm"), hidden=Choice(64, 128), embed=32),
    optimizer=Space(Adam, lr=Float(1e-3, 2e-2, log=True)),
    training=Space(Trainer, batch_size=16, epochs=5, clip_norm=1.0),
    trials=8,
)
"""


def readme_text(folder: Path) -> str:
    """Return the README of a project in this folder."""
    return README.format(name=one_line(folder.name))


def sweep_file_text(source: DataSource, folder: Path) -> str:
    """Return the first sweep file of a project in this folder, an absolute path.

    A data file in the project is found by its path from there, wherever the project lies; any other by its own path.
    """
    inside = source.file.relative_to(folder) if source.file and source.file.is_relative_to(folder) else None
    path = "ROOT" + "".join(f" / {literal(part)}" for part in inside.parts) if inside else literal(str(source.file))
    data = f"{source.constructor}({path}{source.arguments})" if source.file else f"{source.constructor}()"
    names = {source.constructor, source.metric, "Adam", "Choice", "Float", "Space", "Sweep", "Trainer"}
    if source.task == "text":
        model, module, more = "RnnLM", "models.rnn_lm", {"Holdout"}
        code = TEXT_SWEEP.format(name=literal(sweep_name(source)), data=data, metric=source.metric)
    else:
        model, module = "MLP", "models.mlp"
        code, more = _row_sweep(source, data)
    lines = [
        *(["from pathlib import Path", ""] if inside else []),
        f"from {module} import {model}",
        *_import_lines(names | more),
        "",
        *(["ROOT = Path(__file__).parents[1]  # the project", ""] if inside else []),
        *(f"# {line}".rstrip() for line in _comments(source)),
    ]
    return HEAD.format(question=_question(source), file=FILE) + "\n".join([*lines, code])


def sweep_name(source: DataSource) -> str:
    """Return the name of the sweep: that of the data file, with hyphens for what no name may have."""
    stem = "digits" if source.file is None else source.file.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-")[:64] or "first"


def _row_sweep(source: DataSource, data: str) -> tuple[str, set[str]]:
    """Return the sweep of an MLP, and the names that it needs besides those of every sweep."""
    is_large, are_classes = source.rows >= MANY_ROWS, source.task == "classes"
    validation = "StratifiedKFold" if can_stratify(source.class_counts) else "KFold"
    code = ROW_SWEEP.format(
        name=literal(sweep_name(source)),
        data=data,
        validation=f"{validation}({FOLDS})",
        metric=source.metric,
        loss="" if are_classes else ", loss=MeanSquaredError",
        batch_sizes="128, 256" if is_large else "32, 64",
        epochs=10 if is_large else 20,
    )
    return code, {"Int", validation, *(set() if are_classes else {"MeanSquaredError"})}


def _question(source: DataSource) -> str:
    """Return what the sweep searches, for the docstring of its file."""
    if source.file is None:
        return "an MLP for the digits of scikit-learn: hidden size, depth, dropout, batch size and learning rate"
    name = _in_docstring(source.file.name)
    if source.task == "text":
        return f"a language model of {name}: cell, hidden size and learning rate"
    return f"an MLP that predicts {_in_docstring(source.target or 'the class')} of {name}"


def _comments(source: DataSource) -> list[str]:
    """Return what was found in the data and guessed from it."""
    if source.file is None:
        return []
    lines = [f"{one_line(source.file.name)}: {source.size}", *(f"  {line}" for line in source.column_comments())]
    if source.target_reason:
        lines.append(f"The target is guessed: {source.target_reason}. Another column is named by target=.")
    if source.metric_reason:
        lines.append(f"The metric is {source.metric}: {source.metric_reason}.")
    if source.task == "text":
        lines.append('For words in place of characters: unit="word", min_count=2.')
    return lines


def _import_lines(names: set[str]) -> list[str]:
    """Return the import of names of searchlab, sorted as Ruff sorts them."""
    ordered = sorted(names, key=lambda name: (not name.isupper(), name))
    line = f"from searchlab import {', '.join(ordered)}"
    return (
        [line] if len(line) <= LINE_WIDTH else ["from searchlab import (", *(f"    {name}," for name in ordered), ")"]
    )


def _in_docstring(text: str) -> str:
    return one_line(text).replace("\\", "/").replace('"', "'")

"""`searchlab init`: a project of one's own, with networks, a first sweep file and a README."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searchlab.cli.output import Output, json_option
from searchlab.errors import UserMistake

if TYPE_CHECKING:
    from searchlab.new_project.create import NewProject

WHAT = {  # of the files that are shown
    "README.md": "how to go on",
    "models/mlp.py": "MLP, for rows: yours to change",
    "models/rnn_lm.py": "RnnLM, for texts: yours to change",
    "search_spaces/first.py": "the first sweep file",
}
STEPS = (  # the words of a command, and what it does
    ("show search_spaces/first.py", "what is searched"),
    ("plan search_spaces/first.py", "how long it takes here"),
    ("run search_spaces/first.py", "search, choose, test and export"),
)


@click.command("init")
@click.argument("folder")  # a text: Path("") is the current folder
@click.option(
    "--data",
    metavar="PATH",
    help="Data for the first sweep: .csv, .tsv, .csv.gz, .npz, .txt, or a folder of images or texts; default: digits.",
)
@click.option("--target", metavar="COLUMN", help="Column to predict, or key of an .npz; default: guessed.")
@json_option
def init_command(folder: str, data: str | None, target: str | None, as_json: bool) -> None:
    """Create a project of your own in FOLDER: networks to change, a first sweep file, a README."""
    from searchlab.new_project.create import create_project

    if not folder:
        raise UserMistake("the folder of the project has no name; give one, or . for the current folder.")
    root = Path(folder)
    project, output = create_project(root, data, target), Output(as_json)
    lines = [f"{'created' if root != Path('.') else 'created in'} {root}:", *_file_lines(project)]
    lines += ["", *_data_lines(project)] if project.source.file else []
    lines += ["", "next:", *([f"  cd {shlex.quote(str(root))}"] if project.folder != Path.cwd() else [])]
    width = max(len(words) for words, _ in STEPS)
    lines += [f"  searchlab {words:{width}}  # {what}" for words, what in STEPS]
    output.console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    output.result(
        {
            "project": str(project.folder),
            "files": list(project.files),
            "data": project.source.file and os.fspath(project.source.file),
            "target": project.source.target,
            "metric": project.source.metric,
            "warnings": list(project.source.warnings),
        }
    )


def _file_lines(project: NewProject) -> list[str]:
    width = max(map(len, WHAT))
    return [f"  {name:{width}}  {what}" for name, what in WHAT.items() if name in project.files]


def _data_lines(project: NewProject) -> list[str]:
    """Return what was found in the data file, and guessed."""
    source = project.source
    lines = [f"data    {source.file}: {source.size}"]
    if source.columns:
        lines[0] += f", {len(source.columns):,} columns, which the sweep file lists"
    if source.target:
        guess = f" ({source.target_reason}; --target COLUMN names another)" if source.target_reason else ""
        lines.append(f"target  {source.target}: {source.task}{guess}")
    lines.append(f"metric  {source.metric}" + (f" ({source.metric_reason})" if source.metric_reason else ""))
    return [*lines, *(f"warning: {sentence}" for sentence in source.warnings)]

"""`searchlab reproduce`: the winner of a sweep trained once more, and compared with its artifact."""

from __future__ import annotations

import click

from searchlab.cli.output import Output, home_option, json_option, storage_option


@click.command("reproduce")
@click.argument("name")
@storage_option
@home_option
@json_option
def reproduce_command(name: str, storage: str | None, home: str, as_json: bool) -> int:
    """Train the winner of the sweep NAME again, by its recorded file, seed and data, and compare the weights."""
    from searchlab.reporting.formats import count
    from searchlab.runner.reproduce import reproduce

    output = Output(as_json)
    with output.console.status("training the winner again"):
        found = reproduce(name, home=home, storage=storage)
    if found.is_same:
        text = f"trial {found.trial} trained again: {count(found.tensors, 'tensor')}, every weight is the same"
    else:
        text = f"trial {found.trial} trained again: {len(found.different)} of {count(found.tensors, 'tensor')} differ, "
        text += f"by at most {found.largest_difference:.3g}"
    for line in (text, *(f"changed since: {change}" for change in found.changes)):
        output.console.print(line, markup=False, highlight=False, soft_wrap=True)
    output.result(found.to_json())
    return 0 if found.is_same else 1

"""The command line: `searchlab VERB`. Modules are imported by the verb that needs them, so that help comes at once."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from searchlab.cli.hints import complete
from searchlab.cli.output import Output, print_traceback
from searchlab.cli.streams import protect_streams, stdout_fault
from searchlab.environment import worker_environment
from searchlab.wording import suggestion

VERBS = {  # verb: the module of this folder that holds it
    "init": "init",
    "show": "show",
    "plan": "plan",
    "run": "run",
    "submit": "submit",
    "resume": "resume",
    "list": "list",
    "watch": "watch",
    "stop": "stop",
    "report": "report",
    "replay": "replay",
    "reproduce": "reproduce",
    "evaluate": "evaluate",
    "export": "export",
    "predict": "predict",
    "generate": "generate",
    "translate": "translate",
    "most-similar": "most_similar",
    "analogy": "analogy",
    "cluster": "cluster",
    "ui": "ui",
    "doctor": "doctor",
}
PRINTING_VERBS = {
    "show",
    "plan",
    "list",
    "watch",
    "replay",
    "predict",
    "generate",
    "translate",
    "most-similar",
    "analogy",
    "doctor",
}  # these do nothing else


class _Verbs(click.Group):
    """Loads a verb's module when it is asked for, in the order of a sweep's life."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS]  # not list(VERBS): once loaded, the module of the command `list` has that name here

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(
                f"there is no command {args[0]!r}{suggestion(args[0], VERBS)}; the commands are {', '.join(VERBS)}."
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; the sentence of an error is completed here, where the options of the command are known."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if getattr(error, "exit_code", None) is not None and not isinstance(error, click.ClickException):
                error.args = (complete(str(error)), *error.args[1:])
            raise

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"searchlab.cli.{VERBS[cmd_name]}")
        command: click.Command = getattr(module, f"{VERBS[cmd_name]}_command")
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="searchlab")
def searchlab() -> None:
    """Hyperparameter search that trains folds and trials fused on one replica axis.

    \b
    searchlab init mine                            a project of your own
    searchlab show search_spaces/digits_mlp.py     what would be searched
    searchlab run search_spaces/digits_mlp.py      search, choose, export
    searchlab ui                                   browse it in MLflow's dashboard
    """


def main() -> None:
    """Run the command line: exit code 2 for a user's mistake, 1 for a fault of the world, each in one sentence.

    Output that cannot be printed ends no command, and fails only those that do nothing but print.
    """
    protect_streams()
    for name, value in worker_environment().items():
        os.environ.setdefault(name, value)  # before anything imports NumPy
    sys.excepthook = print_traceback
    code, fault = execute(sys.argv[1:]), stdout_fault()
    if fault is not None:
        reason = f"searchlab: output was lost, because stdout cannot be written ({fault.strerror})"
        is_failure = not PRINTING_VERBS.isdisjoint(sys.argv[1:2])
        click.echo(f"{reason}." if is_failure else f"{reason}; the command was carried out all the same.", err=True)
        code = code or int(is_failure)
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Run the command line in this process and return its exit code; an error is one sentence on stderr."""
    output = Output("--json" in arguments)
    try:
        code: Any = searchlab.main(arguments, standalone_mode=False, obj=tuple(arguments))
    except click.ClickException as error:
        return output.error(error.format_message(), error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):  # click makes the first of the second
        return output.error("interrupted", 130)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        return output.error(str(error), code)
    return code if isinstance(code, int) else 0

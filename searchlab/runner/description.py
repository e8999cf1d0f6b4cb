"""The description of a sweep's run in MLflow, in Markdown: the winner, its scores, how it is loaded, and commands."""

from __future__ import annotations

from contextlib import suppress

from searchlab.results.winner import Winner
from searchlab.runs.describe import command_of
from searchlab.runs.manifest import SweepManifest
from searchlab.wording import count

ORIGIN = "## Where it comes from"  # the part of a model card that the tags and parameters of the run repeat


def run_description(manifest: SweepManifest, winner: Winner | None, counts: dict[str, int], over: str | None) -> str:
    """Return the description of a sweep that is over.

    Args:
        manifest: The sweep.
        winner: Its winner; None where no trial has a score.
        counts: Number of trials by state.
        over: Which limit of the budget ended the search; None where all trials were run.
    """
    states = ", ".join(f"{number:,} {state}" for state, number in counts.items())
    ended = f"{count(sum(counts.values()), 'trial')}: {states}."
    parts = [f"{ended} The search ended early: {over}." if over else ended]
    if winner is None:
        parts.append("No trial has a score, so there is no winner.")
    else:
        parts += [f"**Trial {winner.trial.number} won.** {_card(winner)}", _files(winner)]
    return "\n\n".join([*parts, _commands(manifest)])


def start_description(manifest: SweepManifest) -> str:
    """Return the description of a sweep that is running."""
    return (
        f"A search of {count(manifest.trials, 'trial')} by {manifest.metric}, which is not over. "
        f"`searchlab watch {manifest.name}` follows it, and `searchlab resume {manifest.name}` continues it where it "
        "was interrupted. When it is over, the winner is described here."
    )


def _card(winner: Winner) -> str:
    """Return the model card of the artifact without its title and without where the model comes from."""
    with suppress(OSError):
        text = (winner.artifact / "README.md").read_text(encoding="utf-8")
        return text.partition("\n")[2].partition(ORIGIN)[0].strip()
    return ""


def _files(winner: Winner) -> str:
    samples = ["`samples`: what the model wrote after each epoch"] if winner.samples else []
    lines = [
        "`report/report.html`: the report of the search",
        "`winner`: the artifact, which `searchlab.artifact.load` and the code above read",
        "`figures`: learning curves and the other pictures",
        *samples,
    ]
    return "## Artifacts of this run\n\n" + "\n".join(f"- {line}" for line in lines)


def _commands(manifest: SweepManifest) -> str:
    name = manifest.name
    lines = [
        f"{command_of(manifest)}",
        f"searchlab report {name}",
        f"searchlab reproduce {name}",
        f"searchlab resume {name} --trials {2 * manifest.trials}",
    ]
    return "## Commands\n\nThe same search again, the report, the winner trained again, and more trials:\n\n" + (
        "```\n" + "\n".join(lines) + "\n```"
    )

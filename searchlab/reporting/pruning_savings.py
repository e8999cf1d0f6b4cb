"""What pruning saved, from the records of a sweep."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from searchlab.reporting.page import PruningSavings, Reason
from searchlab.reporting.svg_charts import survivor_chart
from searchlab.runs.trials import TrialRecord

OVER = "the search was over"  # how the reason of a trial begins that no pruner stopped
NUMBER = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?")


def pruning_savings_of(trials: Sequence[TrialRecord], arguments: Mapping[str, Any]) -> PruningSavings | None:
    """What was trained and what was left out; None when no trial was stopped.

    `arguments` are the sweep's, as it was described. A trial that took over another's curve trained nothing. Where no
    argument says how many epochs a trial was meant to train, it is as many as the longest did.
    """
    trained = [trial for trial in trials if trial.state != "RUNNING" and trial.curve.seconds > 0]
    lengths = {trial.number: len(trial.curve.scores) for trial in trained}
    stopped = [t for t in trained if t.state == "PRUNED" and not (t.reason or "").startswith(OVER)]
    if not stopped:
        return None
    meant = arguments.get("training.epochs")
    usual = meant if isinstance(meant, int) else max(lengths.values())
    lacking = [int(t.parameters.get("training.epochs") or usual) - lengths[t.number] for t in stopped]
    spent = sum(lengths.values())
    return PruningSavings(
        spent,
        spent + sum(max(0, epochs) for epochs in lacking),
        dict(sorted(Counter(lengths[trial.number] for trial in stopped).items())),
        survivor_chart(list(lengths.values())),
        reasons_of(stopped),
    )


def reasons_of(trials: Sequence[TrialRecord]) -> list[Reason]:
    """The reasons of these trials, the most frequent first; those that differ in numbers alone are one."""
    kinds: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        kinds.setdefault(NUMBER.sub("#", trial.reason or "no reason was kept"), []).append(trial)
    found = [Reason(of[0].reason or "no reason was kept", len(of), of[0].number) for of in kinds.values()]
    return sorted(found, key=lambda reason: (-reason.count, reason.first))

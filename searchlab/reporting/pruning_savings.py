"""How many epochs pruning saved, from the trial records of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchlab.monitor.reasons import ReasonCount, count_reasons
from searchlab.reporting.svg_charts import StepChart, training_trials_chart
from searchlab.runs.trials import TrialRecord
from searchlab.study.storage.attributes import SEARCH_OVER


@dataclass(frozen=True)
class PruningSavings:
    """The effect of pruning on a search.

    Attributes:
        trained: Number of epochs trained.
        unpruned: Number of epochs that would have been trained, had every pruned trial continued to its end.
        stopped_after: Number of pruned trials by the epoch after which they were stopped.
        chart: How many trials were still training after each epoch.
        reasons: Why trials were pruned.
    """

    trained: int
    unpruned: int
    stopped_after: Mapping[int, int]
    chart: StepChart | None
    reasons: Sequence[ReasonCount] = ()

    @property
    def share_trained(self) -> float:
        """The epochs trained, as a share of those without pruning."""
        return self.trained / self.unpruned if self.unpruned else 1.0


def compute_pruning_savings(trials: Sequence[TrialRecord], arguments: Mapping[str, Any]) -> PruningSavings | None:
    """Return what pruning saved; None when no trial was pruned.

    `arguments` are those of the sweep's description. A trial that copied the curve of an identical trial trained
    nothing. Where no argument gives the number of epochs, that of the longest trial is used.
    """
    trained = [trial for trial in trials if trial.state != "RUNNING" and trial.curve.seconds > 0]
    lengths = {trial.number: len(trial.curve.scores) for trial in trained}
    pruned = [t for t in trained if t.state == "PRUNED" and not (t.reason or "").startswith(SEARCH_OVER)]
    if not pruned:
        return None
    fixed = arguments.get("training.epochs")
    default = fixed if isinstance(fixed, int) else max(lengths.values())
    missing = [int(t.parameters.get("training.epochs") or default) - lengths[t.number] for t in pruned]
    total = sum(lengths.values())
    return PruningSavings(
        trained=total,
        unpruned=total + sum(max(0, epochs) for epochs in missing),
        stopped_after=dict(sorted(Counter(lengths[trial.number] for trial in pruned).items())),
        chart=training_trials_chart(list(lengths.values())),
        reasons=count_reasons(pruned),
    )

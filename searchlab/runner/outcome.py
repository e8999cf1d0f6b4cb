"""How a run that was started from Python ends: with a result, or with the reasons why nothing could be trained."""

from __future__ import annotations

import warnings
from collections import Counter

from searchlab.errors import SearchFailed
from searchlab.monitor.reasons import STATE_NAMES, count_reasons, reason_text
from searchlab.results.result import Result
from searchlab.wording import count

MAX_REASONS = 5


def require_winner(result: Result, *, stacklevel: int) -> Result:
    """Return the result, with a warning where its record is not complete.

    The warning is that of the caller so many levels up. Raises SearchFailed where no trial has a score; the message
    says how many trials ended in which way and why, with the first traceback.
    """
    if result.record_fault:
        warnings.warn(result.record_fault, RuntimeWarning, stacklevel=1 + stacklevel)
    if result.winner is None and result.state == "FAILED":
        raise SearchFailed(_message(result), result)
    return result


def _message(result: Result) -> str:
    """Return the reasons, the most frequent first, the first traceback, and where everything is."""
    trials = result.trials
    states = Counter(STATE_NAMES[trial.state] for trial in trials)
    counts = ", ".join(f"{number} {state}" for state, number in states.most_common()) or "there was none"
    over = f", and {result.over}" if result.over else ""
    lines = [f"no trial of {result.sweep!r} could be trained: of {count(len(trials), 'trial')}, {counts}{over}."]
    reasons = count_reasons(trial for trial in trials if trial.state in ("FAIL", "INFEASIBLE", "PRUNED"))
    lines += [f"  {reason_text(reason)}" for reason in reasons[:MAX_REASONS]]
    if len(reasons) > MAX_REASONS:
        lines.append(f"  and {count(len(reasons) - MAX_REASONS, 'other reason')}")
    first = next((trial for trial in trials if trial.traceback), None)
    if first is not None and first.traceback is not None:
        lines += ["", f"The traceback of trial {first.number}:", first.traceback.rstrip()]
    lines += ["", f"Every trial is kept: searchlab.open({result.sweep!r}, home={str(result.home)!r}) gives the result."]
    return "\n".join(lines)

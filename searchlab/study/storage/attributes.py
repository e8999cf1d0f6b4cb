"""The user attributes that the library stores with a study and its trials, whatever storage Optuna writes to.

Their names are part of the format on disk and never change.
"""

from __future__ import annotations

# of a study
SWEEP_ID = "order"  # the id of the sweep that the study belongs to
SEARCH_SECONDS = "seconds"  # seconds of searching up to the latest trial that ended
PRIOR_TRIALS = "known trials"  # how many trials of an earlier sweep stand before the first trial of this one
SAMPLER_STOPPED = "sampler stopped"  # whether the sampler has called `Study.stop`: it has no more points

# of a trial
GROUP = "group"  # the group in which the trial trains
INFEASIBLE = "infeasible"  # why the trial violates the sweep's constraint
END = "end"  # how the trial ended: state, order, epoch, reason and learning curve
SEARCH_OVER = "the search was over"  # begins the reason of a trial that a budget ended, not a pruner

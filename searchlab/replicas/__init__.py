"""The replica axis: how many networks train side by side, and the only source of their random numbers.

Axis 0 of every array is the replica: one (trial, fold, seed). An array that all replicas share has axis 0 of size 1 and
broadcasts. Each replica draws by its own seed and its own count of draws. A random number thus depends on the seed, the
count and the position in the array, and on no other replica: trained together or alone, the numbers are the same.
"""

from searchlab.replicas.axis import PER_REPLICA, HasReplicaAxis, PerReplica, align
from searchlab.replicas.replicas import Replicas, fold_seeds

__all__ = ["PER_REPLICA", "HasReplicaAxis", "PerReplica", "Replicas", "align", "fold_seeds"]

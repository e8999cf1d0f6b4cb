"""Tracking: the record of a sweep. Only the recording process imports MLflow; nothing here is heavy."""

from searchlab.tracking.tracker import Buffer, Ending, Event, NoRecord, SweepRecord, Tracker, replay

__all__ = ["Buffer", "Ending", "Event", "NoRecord", "SweepRecord", "Tracker", "replay"]

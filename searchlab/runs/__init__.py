"""What every part of a run shares: its configuration, folders, events, trial records, and the study's interface."""

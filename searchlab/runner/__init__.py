"""A run from start to end: `run`, `resume`, and the pipeline that both share."""

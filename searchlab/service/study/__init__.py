"""The study: what is proposed, how trials are judged, and where all of it is stored. Optuna is imported here alone."""

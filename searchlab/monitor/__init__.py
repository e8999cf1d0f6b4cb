"""The state of sweeps that any process drives: status, live snapshots, and stopping."""

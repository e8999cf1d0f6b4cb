"""The state of sweeps that any process runs: status, live snapshots, and stopping."""

"""Ray clusters: connections, jobs, fair sharing between sweeps, and shipped data."""

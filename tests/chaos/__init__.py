"""Chaos: a real sweep whose processes are killed at random moments, and the sentences that must hold in the end."""

"""Chaos: processes of a real sweep are killed at random moments, and the invariants must hold in the end."""

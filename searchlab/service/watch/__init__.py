"""How sweeps stand, read from what is stored, and how one that another process drives is stopped."""

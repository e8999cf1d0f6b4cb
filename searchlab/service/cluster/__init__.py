"""A Ray cluster: how one is reached, who may use how much of it, what is sent to it, and its jobs."""

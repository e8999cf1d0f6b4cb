"""The engines that carry a search out, in this process or on Ray; and what a worker does."""

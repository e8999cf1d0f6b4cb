"""What a sweep gave: its winner, pictures, report, and what pruning saved."""

"""Groups of trials that train fused, and how many fit in memory and pay off."""

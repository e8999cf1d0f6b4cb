"""The engines that train groups of trials: in this process or on Ray Tune."""

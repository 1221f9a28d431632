"""Reads finished runs and draws what they say; never starts one. `analysis.load` is where to begin."""

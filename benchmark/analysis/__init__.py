"""Samples to numbers: intervals, PBx, oracle, closed forms."""

"""Runs what is missing: models and methods in, scored samples out."""

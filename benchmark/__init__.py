"""Runs models, schedulers and tasks together: theory, results and reports."""

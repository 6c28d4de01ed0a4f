"""What to run: questions, methods and the settings of a run."""

"""Numbers to tables, plots and files."""

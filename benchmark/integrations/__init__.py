"""Where the benchmark's models and tasks meet programs of others."""

"""Studies beside the benchmark: what each score of text sees."""

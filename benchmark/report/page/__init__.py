"""The report as one HTML file: numbers, plots that answer to clicks, and answers step by step."""

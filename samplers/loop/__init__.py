"""The loop: what `generate` and `stream` are made of, from the arguments to the answers as text."""

"""Samples and settings on disk."""

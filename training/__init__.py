"""The reference model: how the small dLLM in `hub_model` is made, from the generators' train split to its card.

>>> python -m training --help
"""

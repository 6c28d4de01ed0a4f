"""How a model is trained where nothing else is said; apart from torch, so that the command line can name it at once."""

STEPS, DECAY, WARMUP, LEARNING_RATE = 8_000, 3_500, 300, 2.5e-3
# Prompts in a batch, groups that they are dealt into, and answers to each.
PROMPTS, GROUPS, ANSWERS = 768, 4, 4

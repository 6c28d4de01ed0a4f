"""The defaults of training, in a module without torch, so that `--help` need not wait for it."""

STEPS, DECAY, WARMUP, LEARNING_RATE = 8_000, 3_500, 300, 2.5e-3
# Prompts in a batch, groups that they are divided into, and answers to each.
PROMPTS, GROUPS, ANSWERS = 768, 4, 4

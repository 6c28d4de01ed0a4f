"""The versions of the data and of the reference model, which are apart from the package's.

That of the data: major when a row of `test` changes (only then do the random streams change), minor when configs,
columns or splits are added or rows of `train` and `validation` change, patch for the card or the metric.
"""

# Version → what changed, the newest first; the card shows it.
HISTORY = {
    "2.0.0": (
        "each name of `test` is one token of Qwen's vocabulary and of cl100k, so that lines of n people are 4n tokens; "
        "nobody in the texts of `test` has a name of `train`. Rows of the other configs are those of 1.1.0"
    ),
    "1.1.0": "training text for the text tasks is made by a grammar; those on texts of our own have all three splits",
    "1.0.0": "first version",
}
DATA_VERSION = next(iter(HISTORY))

# Patterns of configs → the major version that their random streams belong to, where it is not the current one: what
# 2.0 did not have to change is as it was, so that results on those rows, and models that never saw them, still hold.
EARLIER_STREAMS = {
    "words_to_sentence_*": "1",
    "paraphrase_summarize_*": "1",
    "text_writing_*": "1",
    "puzzle_*": "1",
    "case_study_*": "1",
}

# The reference model's, another one whenever it is trained anew.
MODEL_VERSION = "2.0.0"

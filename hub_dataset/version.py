"""The version of the data, which is apart from the package's.

Major when a row of `test` changes (only then do the random streams change), minor when configs or columns are
added, patch for the card or the metric.
"""

# Version → what changed, the newest first; the card shows it.
HISTORY = {
    "1.0.0": "first version",
}
DATA_VERSION = next(iter(HISTORY))

"""The ParallelBench dataset: task configs, generators and sources; light enough to import anywhere.

>>> import hub_dataset
>>> hub_dataset.build_rows("waiting_line_copy")[0]["id"]
'waiting_line_copy-test-0000'
"""

from .configs import TaskConfig, config_names, default_task_names, task_groups, task_info
from .rows import build_rows, checksum, iterate_rows
from .version import DATA_VERSION

__all__ = [
    "DATA_VERSION",
    "TaskConfig",
    "build_rows",
    "checksum",
    "config_names",
    "default_task_names",
    "iterate_rows",
    "task_groups",
    "task_info",
]

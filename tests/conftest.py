"""What holds for the whole suite: one thread per process, and memory that is kept between tests."""

import os

# Workers run side by side; operations of theirs that start threads of their own only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmark.memory import keep_freed_memory

keep_freed_memory()

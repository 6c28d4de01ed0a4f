"""What keeps files whole: writes that happen entirely or not at all, and one process at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The ending of a file that is being written; what a killed process leaves under it may be removed.
TEMPORARY = ".tmp"
# What a file system answers that has no locks: NFS without its lock service, some mounts of Lustre and FUSE.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, bring it to disk, and rename it into place.

    A process killed at any moment leaves either the old file or the new one, and at most a file ending in `.tmp`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def only_one_process(lock: Path, refusal: str, *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the file `lock` against every other process that asks for it, for as long as the block runs.

    The operating system releases it when the process dies, however it dies; a process forked while it is held keeps it
    until that process ends too. On a file system without locks a file `<lock>.held` stands for it, made so that only
    one process can make it, with the process id and the host in it. Left behind by a killed process, it is taken over
    on the same host where the file system can exchange two names at once; elsewhere nobody can know that its process
    is dead, and the error names the file to delete. All processes must find the same: one that sees locks and one that
    does not, in the same folder through different mounts, do not see each other.

    Raises:
        ValueError: another process has held it for `wait_seconds`; the message is `refusal`.
        OSError: the file cannot be made.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    hint = ""
    try:
        try:
            held = FileLock(lock, timeout=wait_seconds, fallback_to_soft=False).acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            marker = lock.with_name(f"{lock.name}.held")
            hint = f"; this file system has no locks: if no such process runs on any machine, delete {marker}"
            held = SoftFileLock(marker, timeout=wait_seconds).acquire()
    except Timeout:
        # Where the lock's file cannot be made it times out, too; this says why.
        lock.touch()
        raise ValueError(refusal + hint) from None
    with held:
        yield

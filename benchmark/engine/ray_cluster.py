"""Ray itself: a cluster that is joined, or started on this host, and what there is room for on it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

# Bytes for what workers tell, which is taken at once.
_OBJECT_STORE = 256 << 20
_LOCAL = "local"
_KNOCK_SECONDS = 10.0
# Variables that a run asks its workers to have as this process has them, where Ray has not been told otherwise.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def connect(address: str | None, host_size: tuple[int, int] = (0, 0)) -> bool:
    """Connect with a cluster, or start Ray on this host alone; where it is connected, do nothing.

    Args:
        address: of the cluster; None: this host alone.
        host_size: cores and GPUs that Ray may use on this host; at least all of its cores.

    Returns:
        Whether it was not connected before.

    Raises:
        ValueError: there is no cluster at the address.
    """
    ray = ray_package()
    if ray.is_initialized():
        return False
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    with _own_signals():
        _join(address, host_size)
    return True


@contextmanager
def _own_signals() -> Iterator[None]:
    """Undo that Ray takes SIGTERM for itself, upon which it would end this process at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and current_thread() is main_thread():
            signal.signal(signal.SIGTERM, before)


def _join(address: str | None, host_size: tuple[int, int]) -> None:
    ray = ray_package()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        cores, gpus = max(host_size[0], os.cpu_count() or 1), host_size[1]
        size = {"num_cpus": cores, "num_gpus": gpus, "object_store_memory": _OBJECT_STORE}
        ray.init(address=_LOCAL, include_dashboard=False, **size, **quiet)
        return
    if "://" in address:
        raise ValueError(f"--ray {address}: answers come as streams, which Ray's client has not; run the command on a "
                         "machine of the cluster, with --ray auto")  # fmt: skip
    try:
        _knock(address)
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"--ray {address}: there is no Ray cluster that can be joined from here ({first})") from None


def _knock(address: str) -> None:
    """See whether somebody is there; Ray itself would go on asking for minutes.

    Raises:
        OSError: nobody is.
        ValueError: it is no address.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ValueError("write auto or HOST:PORT")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS):
        pass


def gpus_of_cluster() -> int:
    """GPUs of the cluster that is connected."""
    ray = ray_package()
    return int(ray.cluster_resources().get("GPU", 0))


def cores_for(workers: int) -> int:
    """Cores that each of so many workers can have on the machines of the cluster that is connected."""
    ray = ray_package()
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return most_cores(nodes, workers)


def most_cores(nodes: Sequence[int], workers: int) -> int:
    """The most cores that each of so many workers can have on machines with so many cores; 1 where it is not enough."""
    return max(
        (cores for cores in range(1, max(nodes, default=0) + 1) if sum(node // cores for node in nodes) >= workers),
        default=1,
    )


def ray_package() -> Any:
    """The package, which takes a second to import; whoever asks for workers has seen to it that it is there."""
    import ray
    import ray.exceptions

    return ray

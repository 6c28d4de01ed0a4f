"""Where the work of a run is done: in this process, or in so many others on GPUs or CPUs, here or on a cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec

RAY = "ray"
_INSTALL = "pip install 'parallelbench[ray]'"


@dataclass(frozen=True, slots=True)
class Placement:
    """So many worker processes, placed by Ray.

    Attributes:
        count: how many.
        device: `cuda`, a GPU each, or `cpu`.
        threads: cores of each, on a CPU.
        address: of a Ray cluster; None: this host alone.
    """

    count: int
    device: str
    threads: int = 1
    address: str | None = None

    @property
    def host_size(self) -> tuple[int, int]:
        """Cores and GPUs of all workers together."""
        return self.count * self.threads, self.count if self.device == "cuda" else 0


def find_placement(
    *, gpus: int | None, workers: int | None, address: str | None, device: str | None
) -> tuple[Placement | None, str | None]:
    """What options ask for.

    Args:
        gpus: as many workers, each on a GPU of its own.
        workers: as many, on CPUs.
        address: of a Ray cluster.
        device: as in `ModelOptions`.

    Returns:
        The placement, None where all is done in this process; and a line for the user, or None.

    Raises:
        ValueError: options contradict each other, or there are not so many GPUs, or no Ray.
    """
    if gpus is not None and workers is not None:
        raise ValueError(f"--gpus {gpus} and --workers {workers}: workers are on GPUs or on CPUs; give one of them")
    if gpus is None and workers is None and address is None:
        return _by_default(device)
    name = _named(gpus, workers, address)
    if device == "auto" or (device or "").startswith("cuda:"):
        raise ValueError(
            f"{name} with --device {device}: each worker has the whole model on a GPU of its own; leave one of them out"
        )
    on_gpus = gpus is not None
    if on_gpus and device == "cpu":
        raise ValueError(f"{name} with --device cpu: workers on CPUs are --workers {gpus}")
    if workers is not None and device not in (None, "cpu"):
        raise ValueError(f"{name} with --device {device}: workers on GPUs are --gpus {workers}")
    if address is not None:
        return _on_cluster(gpus, workers, address, device, name), None
    count = gpus or workers or 1
    if on_gpus:
        here = _gpus_here()
        if count > here:
            raise ValueError(f"{name}: torch sees {here} GPUs here; give at most as many, or --workers for CPUs")
    if count == 1:
        return None, None
    _need_ray(name)
    # Those that this process may use, which containers and batch systems may have cut.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Placement(count, "cuda" if on_gpus else "cpu", max(1, cores // count)), None


def _by_default(device: str | None) -> tuple[Placement | None, str | None]:
    """All GPUs of this host, where there are several, and Ray."""
    count = _gpus_here() if device in (None, "cuda") else 0
    if count < 2:
        return None, None
    if find_spec(RAY) is None:
        return None, f"one of the {count} GPUs here is used; for all of them: {_INSTALL}"
    return Placement(count, "cuda"), None


def _on_cluster(gpus: int | None, workers: int | None, address: str, device: str | None, name: str) -> Placement:
    _need_ray(name)
    from benchmark.engine.ray_cluster import connect, cores_for, gpus_of_cluster

    connect(address)
    there = gpus_of_cluster()
    if workers is not None:
        return Placement(workers, "cpu", cores_for(workers), address)
    if device == "cpu" or not there:
        raise ValueError(f"{name}: say with --workers N how many processes are to answer on the cluster's CPUs")
    if gpus is not None and gpus > there:
        raise ValueError(f"{name}: the cluster has {there} GPUs; give at most as many")
    return Placement(gpus or there, "cuda", address=address)


def _named(gpus: int | None, workers: int | None, address: str | None) -> str:
    given = (("--gpus", gpus), ("--workers", workers), ("--ray", address))
    return " ".join(f"{option} {value}" for option, value in given if value is not None)


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count()


def _need_ray(name: str) -> None:
    if find_spec(RAY) is None:
        raise ValueError(f"{name} takes the package ray: {_INSTALL}")

"""Where the work is done: what options ask for, what contradicts itself, and what to install."""

from typing import Any

import pytest

from benchmark.engine import placement
from benchmark.engine.placement import Placement, find_placement
from benchmark.engine.ray_cluster import most_cores

CORES = 8


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host with so many GPUs, and Ray or not."""

    def set_up(gpus: int, ray: bool = True) -> None:
        monkeypatch.setattr(placement, "_gpus_here", lambda: gpus)
        monkeypatch.setattr(placement, "find_spec", lambda name: object() if ray else None)
        monkeypatch.setattr(placement.os, "sched_getaffinity", lambda pid: range(CORES), raising=False)

    return set_up


def find(**options: Any) -> tuple[Placement | None, str | None]:
    return find_placement(**{"gpus": None, "workers": None, "address": None, "device": None, **options})


def test_without_several_gpus_one_process_does_all(host: Any) -> None:
    for gpus in (0, 1):
        host(gpus)
        assert find() == (None, None)
    host(1)
    assert find(gpus=1) == (None, None)
    assert find(workers=1) == (None, None)


@pytest.mark.parametrize("device", [None, "cuda"])
def test_by_default_there_is_a_worker_for_each_gpu(host: Any, device: str | None) -> None:
    host(4)
    assert find(device=device) == (Placement(4, "cuda"), None)
    host(4, ray=False)
    where, line = find(device=device)
    assert where is None
    assert line == "one of the 4 GPUs here is used; for all of them: pip install 'parallelbench[ray]'"


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda:2"])
def test_a_device_that_is_named_is_used_by_one_process(host: Any, device: str) -> None:
    host(4)
    assert find(device=device) == (None, None)


def test_workers_share_the_cores_of_the_host(host: Any) -> None:
    host(0)
    assert find(workers=3) == (Placement(3, "cpu", threads=2), None)
    assert find(workers=20) == (Placement(20, "cpu", threads=1), None)
    host(4)
    where, _ = find(gpus=2)
    assert where is not None
    assert (where.count, where.device) == (2, "cuda")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gpus": 2, "workers": 2}, "--gpus 2 and --workers 2: workers are on GPUs or on CPUs; give one of them"),
        ({"gpus": 2, "device": "auto"}, "--gpus 2 with --device auto: each worker has the whole model"),
        ({"gpus": 2, "device": "cuda:1"}, "--gpus 2 with --device cuda:1: each worker has the whole model"),
        ({"address": "auto", "device": "auto"}, "--ray auto with --device auto: each worker has the whole model"),
        ({"gpus": 2, "device": "cpu"}, "--gpus 2 with --device cpu: workers on CPUs are --workers 2"),
        ({"workers": 2, "device": "cuda"}, "--workers 2 with --device cuda: workers on GPUs are --gpus 2"),
        ({"gpus": 9}, "--gpus 9: torch sees 4 GPUs here"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_one_line(host: Any, options: dict[str, Any], expected: str) -> None:
    host(4)
    with pytest.raises(ValueError, match="^" + expected.replace("(", r"\(")):
        find(**options)


@pytest.mark.parametrize("options", [{"gpus": 2}, {"workers": 2}, {"address": "auto"}], ids=str)
def test_without_ray_it_is_said_what_to_install(host: Any, options: dict[str, Any]) -> None:
    host(4, ray=False)
    with pytest.raises(ValueError, match=r"takes the package ray: pip install 'parallelbench\[ray\]'$"):
        find(**options)


@pytest.mark.parametrize(
    ("nodes", "workers", "cores"),
    [([8], 2, 4), ([8, 8], 2, 8), ([8, 8], 3, 4), ([4, 4, 4], 2, 4), ([16, 4], 5, 4), ([2], 5, 1), ([], 1, 1)],
)
def test_workers_of_a_cluster_get_as_many_cores_as_fit(nodes: list[int], workers: int, cores: int) -> None:
    assert most_cores(nodes, workers) == cores


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:9", "there is no Ray cluster that can be joined from here"),
        ("somewhere", r"there is no Ray cluster that can be joined from here \(write auto or HOST:PORT\)"),
        ("ray://head:10001", "answers come as streams, which Ray's client has not; run the command on a machine of"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line_at_once(address: str, expected: str) -> None:
    pytest.importorskip("ray", reason="clusters are Ray's")
    with pytest.raises(ValueError, match=f"^--ray {address}: {expected}"):
        find(address=address, workers=2)

"""What a step costs: nothing is copied to the host, and nothing is done row by row."""

from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, Window, every_scheduler, row_generator
from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """Counts what is dispatched, and refuses what copies a number to the host or has a size that depends on data."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "unique", "_unique", "equal")
    #: Begins what makes a tensor of Python numbers: on an accelerator that waits for all that was asked before.
    FORBIDDEN += ("lift_fresh",)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert not name.startswith(self.FORBIDDEN), name
        if name in ("index", "index_put", "index_put_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "a bool index needs its count"
        self.count += 1
        return func(*args, **(kwargs or {}))


@every_scheduler
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_step_copies_nothing_to_the_host_and_does_not_loop_over_rows(name: str, temperature: float) -> None:
    counts = set()
    for batch, length in ((2, 4), (50, 4), (2, 33)):
        window = Window(torch.full((batch, length), 4), vocab_size=5, mask_token_id=4, seed=0)
        scheduler = FACTORIES[name](temperature=temperature, top_k=3, top_p=0.9)
        sample, generator = window.sample, row_generator(0)
        first, second = window.logits(0), window.logits(1)
        with Operations() as operations:
            for logits in (first, second):
                sample = scheduler.step(logits, 0, sample, mask_token_id=4, generator=generator).prev_sample
        counts.add(operations.count)
    assert len(counts) == 1, "the number of operations grows with the batch or the window"


@every_scheduler
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_step_runs_on_a_device_that_holds_no_data(name: str, temperature: float) -> None:
    scheduler = FACTORIES[name](temperature=temperature)
    scheduler.set_timesteps(device="meta", block_length=6)
    sample = torch.full((3, 6), 4, device="meta")
    for _ in range(2):
        sample = scheduler.step(torch.zeros(3, 6, 5, device="meta"), 0, sample, mask_token_id=4).prev_sample
    assert sample.device.type == "meta"
    assert scheduler.timesteps.device.type == "meta"

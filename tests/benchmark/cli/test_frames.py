"""What a frame says happened to each token."""

import torch

from benchmark.cli.frames import frame_of, frames_of
from samplers import GenerationStep


class Words:
    def decode(self, tokens: list[int]) -> str:
        return [" red", "\n", " ", "blue", "[/bold]"][tokens[0]]


def step(before: list[int], after: list[int], window: tuple[int, int]) -> GenerationStep:
    width = window[1] - window[0]
    output = type("Output", (), {"sampled_probs": torch.full((1, width), 0.25)})
    return GenerationStep(
        number=4,
        timestep=0,
        before=torch.tensor([before]),
        sample=torch.tensor([after]),
        window=window,
        num_rounds=torch.tensor([5]),
        num_forward_passes=torch.tensor([5]),
        num_skipped_tokens=torch.tensor([0]),
        mask_token_id=9,
        output=output,
    )


def test_each_position_looks_as_what_happened_to_it() -> None:
    frame = frame_of(step([9, 0, 0, 9, 1, 9], [3, 9, 4, 9, 1, 2], window=(0, 5)), Words())
    looks = ["committed", "remasked", "replaced", "masked", "kept", "filled"]
    assert [cell.look for cell in frame.cells] == looks
    assert [cell.text for cell in frame.cells] == ["blue", "░", "[/bold]", "░", "⏎", "␣"]
    assert frame.sure == (("blue", 0.25),)
    assert (
        frame.headline
        == "step 5 · 5 forward passes · 1 committed · 1 replaced · 1 remasked · 1 filled · 2 still masked"
    )


def test_what_was_kept_tells_the_passes_of_all_steps_where_drafts_took_some() -> None:
    sample = {"id": "row", "tokens": ["a", "b", "c"], "commit_steps": [2, 1, 4]}
    alone = list(frames_of(sample | {"num_rounds": 4, "num_forward_passes": 4}))
    drafted = list(frames_of(sample | {"num_rounds": 4, "num_forward_passes": 18}))
    # Nothing of what stayed was committed in the third.
    assert [frame.number for frame in alone] == [frame.number for frame in drafted] == [0, 1, 3]
    assert [frame.num_forward_passes for frame in alone] == [1, 2, 4]
    assert [frame.num_forward_passes for frame in drafted] == [None, None, 18]
    assert drafted[0].headline == "step 1 · 1 committed · 2 still masked"

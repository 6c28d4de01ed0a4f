"""Recorded decoding runs: every scheduler has to walk through exactly the states of the reference implementation."""

import itertools
import json
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from support import golden_files, read_lines
from toy_denoiser import ToyDenoiser

import samplers

MASK = 47
MODELS = {sharpness: ToyDenoiser(sharpness=sharpness) for sharpness in (2.0, 6.0)}
PADDED_MODELS = {sharpness: PaddedDenoiser(sharpness=sharpness) for sharpness in (2.0, 6.0)}
METHODS = (
    "confidence_topk",
    "confidence_topk_dream_schedule",
    "margin_topk_dream_schedule",
    "entropy_topk_dream_schedule",
    "confidence_threshold",
    "margin_threshold",
    "confidence_factor",
    "rcr",
    "remdm",
)


def scheduler_of(run: dict[str, Any]) -> Any:
    """The scheduler that a recorded run was made with."""
    method, params = run["method"], run["params"]
    steps = params.get("steps", 0) // (run["gen_length"] // run["block_length"])
    if method.endswith("_topk_dream_schedule"):
        scheduler_class = samplers.scheduler_class(method.split("_")[0])
        return scheduler_class(num_inference_steps=steps, schedule="linear_time", eps=params["eps"])
    if method == "confidence_topk":
        return samplers.ConfidenceScheduler(num_inference_steps=steps)
    if method.endswith("_threshold"):
        return samplers.ThresholdScheduler(score=method.split("_")[0], threshold=params["threshold"])
    if method == "confidence_factor":
        return samplers.FactorScheduler(**params)
    if method == "rcr":
        assert params["schedule"] == "linear"
        return samplers.RCRScheduler(num_inference_steps=steps, scope="sequence")
    return samplers.ReMDMScheduler(
        num_inference_steps=steps, remask_steps=params["remdm_steps"], remask_tokens=params["remdm_number"]
    )


def decode(run: dict[str, Any], model: Any, prompts: list[list[int]]) -> Any:
    """Decode `prompts` as the recorded run decoded its own; shorter ones are padded on the left with token 0."""
    longest = max(map(len, prompts))
    return samplers.generate(
        model,
        torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts]),
        attention_mask=torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]),
        scheduler=scheduler_of(run),
        max_new_tokens=run["gen_length"],
        block_length=run["block_length"],
        mask_token_id=MASK,
        return_trajectory=True,
    )


def states_of(output: Any, row: int, run: dict[str, Any]) -> list[list[int]]:
    """What a recorded run keeps of a row: the generated region before each of its forward passes, then the final one.

    Blocks are decoded in step, so a row that is done with its block repeats its state until all are; those steps cost
    the row no forward pass and are left out.
    """
    regions = [torch.full_like(output.trajectory[0], MASK), *output.trajectory]
    states = [regions[0][row].tolist()]
    block_stop = run["block_length"]
    for before, after in itertools.pairwise(regions):
        while block_stop < run["gen_length"] and not (before[:, :block_stop] == MASK).any():
            block_stop += run["block_length"]
        if (before[row, :block_stop] == MASK).any():
            states.append(after[row].tolist())
        else:
            assert torch.equal(before[row], after[row])
    return states


def assert_row_is_the_run(output: Any, row: int, run: dict[str, Any]) -> None:
    """A row of the output went through the recorded states in the recorded number of forward passes."""
    assert int(output.num_forward_passes[row]) == run["nfe"], run
    assert states_of(output, row, run) == run["states"], run
    generated_from = len(run["prompt"]) + run["gen_length"]
    assert output.sequences[row, -generated_from:].tolist() == run["prompt"] + run["states"][-1], run


def runs_of(path: Any, method: str) -> list[dict[str, Any]]:
    return [run for run in read_lines(path) if run["method"] == method]


def test_every_recorded_method_is_checked() -> None:
    counts = {}
    for parameter in golden_files("trajectories.jsonl"):
        path = parameter.values[0]
        if path.exists():
            runs = read_lines(path)
            assert {run["method"] for run in runs} == set(METHODS)
            counts[parameter.id] = len(runs)
    assert counts in ({"sample": 159}, {"sample": 159, "full": 720})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", golden_files("trajectories.jsonl"))
def test_run_alone_takes_the_recorded_states(path: Any, method: str) -> None:
    for run in runs_of(path, method):
        output = decode(run, MODELS[run["sharpness"]], [run["prompt"]])
        assert len(output.trajectory) == run["nfe"]
        assert_row_is_the_run(output, 0, run)


@pytest.mark.parametrize("method", METHODS)
def test_run_in_a_batch_of_equal_prompts_takes_the_recorded_states(method: str) -> None:
    runs = runs_of(golden_files("trajectories.jsonl")[0].values[0], method)
    prompts = [run["prompt"] for run in runs]
    for run in runs:
        company = [prompt for prompt in prompts if len(prompt) == len(run["prompt"])]
        output = decode(run, MODELS[run["sharpness"]], [run["prompt"], *company, run["prompt"]])
        for row in (0, -1):
            assert_row_is_the_run(output, row, run)


@pytest.mark.parametrize("method", METHODS)
def test_runs_in_one_padded_batch_take_the_recorded_states(method: str) -> None:
    path = [file.values[0] for file in golden_files("trajectories.jsonl") if file.values[0].exists()][-1]
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs_of(path, method):
        settings = [run[key] for key in ("sharpness", "params", "gen_length", "block_length")]
        groups.setdefault(json.dumps(settings, sort_keys=True), []).append(run)
    for runs in groups.values():
        output = decode(runs[0], PADDED_MODELS[runs[0]["sharpness"]], [run["prompt"] for run in runs])
        for row, run in enumerate(runs):
            assert_row_is_the_run(output, row, run)

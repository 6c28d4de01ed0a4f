"""Operating points: which models have them, told by their names."""

import pytest

from benchmark.protocol.operating_points import OPERATING_POINTS, POINTS_OF_MODELS, points_of


@pytest.mark.parametrize(
    ("model", "points"),
    [
        ("ar:Qwen/Qwen2.5-7B-Instruct", ("autoregressive",)),
        ("api:mercury@https://api.inceptionlabs.ai/v1", ("served", "autoregressive")),
        ("ideal:reference", ()),
        ("GSAI-ML/LLaDA-8B-Instruct", ()),
        ("my_models:factory", ()),
        ("apicalls:factory", ()),
    ],
)
def test_models_with_operating_points_are_told_by_the_beginning_of_their_names(
    model: str, points: tuple[str, ...]
) -> None:
    assert points_of(model) == points


def test_what_models_can_be_run_at_are_operating_points() -> None:
    assert {point for points in POINTS_OF_MODELS.values() for point in points} == set(OPERATING_POINTS)

"""Grids: what the files that come with the benchmark stand for, how they are narrowed, and how they go wrong."""

from pathlib import Path
from typing import Any

import pytest

import hub_dataset
from benchmark.protocol.grids import Grid, Part, expand_grid, grid_names, read_grid
from benchmark.protocol.settings import settings_keys
from samplers import built_in_scheduler_names, protocol_scheduler_names


def parts_of(grid: Grid, answer_length: int | None = None) -> list[Part]:
    return expand_grid(grid, lambda model: answer_length)


def runs(grid: Grid) -> int:
    return sum(part.runs for part in parts_of(grid))


def written(path: Path, text: str) -> Grid:
    path.write_text(text)
    return read_grid(str(path))


# -- the files that come with the benchmark ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("paper", 11_292), ("dllm_vs_llm", 391), ("quick", 480)])
def test_grids_have_as_many_runs_as_published(name: str, count: int) -> None:
    assert runs(read_grid(name)) == count


def test_the_paper_s_grid_has_2823_runs_a_model_by_task_group() -> None:
    parts = parts_of(read_grid("paper").narrowed(models=["any/model"]))
    assert [(len(part.group.tasks), len(part.group.methods), part.group.new_tokens) for part in parts] == [
        (10, 150, 32),
        (7, 189, 64),
    ]
    assert sum(part.runs for part in parts) == 2_823
    for part in parts:
        counts: dict[str, int] = {}
        for method in part.group.methods:
            counts[method.name] = counts.get(method.name, 0) + 1
        pairs, lengths = (21, 6) if part.group.new_tokens == 32 else (28, 7)
        orders = dict.fromkeys(("random", "confidence", "margin", "entropy"), pairs)
        assert counts == {**orders, "threshold": 6 * lengths, "factor": 5 * lengths}


def test_no_run_of_a_grid_stands_there_twice() -> None:
    for name in grid_names():
        groups = [part.group for part in parts_of(read_grid(name)) if not part.needs]
        assert len(settings_keys(groups)) == sum(part.runs for part in parts_of(read_grid(name)) if not part.needs)


def test_the_comparison_with_language_models_has_all_that_the_paper_compares() -> None:
    counts: dict[tuple[str, ...], int] = {}
    parts = parts_of(read_grid("dllm_vs_llm"))
    for part in parts:
        assert part.needs is None
        kinds = tuple(dict.fromkeys(name.partition(":")[0] if ":" in name else "" for name in part.group.models))
        counts[kinds] = counts.get(kinds, 0) + part.runs
    assert counts == {("",): 272, ("ar",): 85, ("api",): 34}
    for part in parts:
        methods = list(map(str, part.group.methods))
        if part.group.models[0].startswith("ar:"):
            assert (methods, part.group.new_tokens) == (["autoregressive()"], 1024)
        elif part.group.models[0].startswith("api:"):
            assert methods == ["served()"]
        else:
            cached = [f"confidence(k={k}, cache=dual)" for k in (1, 2)]
            assert sorted(methods) == sorted([*cached, "confidence(k=1)", "confidence(k=2)"])


def test_models_without_schedulers_are_run_at_their_operating_point_beside_the_others() -> None:
    named = ["ideal", "ar:some/model", "api:other"]
    parts = parts_of(read_grid("protocol").narrowed(models=named, tasks=["waiting_line_copy"]))
    methods = {model: part.group.methods for part in parts for model in part.group.models}
    assert list(map(str, methods["ar:some/model"])) == ["autoregressive()"]
    assert list(map(str, methods["api:other"])) == ["served()"]
    alone = parts_of(read_grid("protocol").narrowed(models=["ideal"], tasks=["waiting_line_copy"]))
    assert [methods["ideal"]] == [part.group.methods for part in alone]


def test_their_longer_answers_lengthen_no_quota_of_the_others() -> None:
    grid = read_grid("protocol").narrowed(models=["ideal", "ar:m"], tasks=["waiting_line_copy"])
    parts = expand_grid(grid, lambda model: 1024 if model == "ar:m" else None)
    (quotas,) = ({m.parameters.get("k") for m in part.group.methods} for part in parts if "ideal" in part.group.models)
    assert quotas - {None} == {1, 2, 4, 8, 16, 32}


def test_an_operating_point_that_is_named_is_run_by_the_models_that_have_it() -> None:
    texts = ["served:threshold=[0.5, 0.9]", "confidence:k=2"]
    grid = read_grid("protocol").narrowed(models=["api:m", "ideal"], tasks=["waiting_line_copy"], schedulers=texts)
    methods = {model: list(map(str, part.group.methods)) for part in parts_of(grid) for model in part.group.models}
    assert methods == {"api:m": ["served(threshold=0.5)", "served(threshold=0.9)"], "ideal": ["confidence(k=2)"]}


@pytest.mark.parametrize(
    ("model", "scheduler", "words"),
    [
        ("api:m", "confidence:k=1", r"api:m has no scheduler; leave confidence:k=1 out, or name served"),
        ("ar:m", "served", r"ar:m is not run with served; name autoregressive"),
        ("ideal", "autoregressive", r"ideal is not run with autoregressive; name a scheduler"),
        ("ar:m", "autoregressive:k=2", r"autoregressive has no parameters"),
        ("api:m", "served:block_length=4", r"served has no block_length"),
    ],
)
def test_models_and_methods_that_do_not_go_together_are_told(model: str, scheduler: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parts_of(read_grid("protocol").narrowed(models=[model], schedulers=[scheduler]))


def test_the_protocol_is_nine_methods_with_quotas_up_to_the_tokens_of_each_task() -> None:
    parts = parts_of(read_grid("protocol"))
    assert sorted(task for part in parts for task in part.group.tasks) == sorted(hub_dataset.default_task_names())
    for part in parts:
        assert {method.name for method in part.group.methods} == set(protocol_scheduler_names())
        (tokens,) = {hub_dataset.task_info(task).max_new_tokens for task in part.group.tasks}
        quotas = {method.parameters["k"] for method in part.group.methods if "k" in method.parameters}
        assert quotas == {2**power for power in range(20) if 2**power <= tokens}
        assert {method.block_length for method in part.group.methods} == {None}


def test_a_model_of_longer_answers_has_larger_quotas() -> None:
    (part,) = parts_of(read_grid("protocol"), answer_length=128)
    assert max(method.parameters.get("k", 0) for method in part.group.methods) == 128


def test_the_grid_of_methods_has_every_scheduler_of_the_library() -> None:
    names = {method.name for part in parts_of(read_grid("methods")) for method in part.group.methods}
    assert names == set(built_in_scheduler_names())


def test_a_group_is_not_run_with_models_that_cannot() -> None:
    grid = read_grid("methods").narrowed(models=["ideal:reference", "some/model"], tasks=["waiting_line_copy"])
    names: dict[str, set[str]] = {}
    for part in parts_of(grid):
        for model in part.group.models:
            names.setdefault(model, set()).update(method.name for method in part.group.methods)
    assert names["some/model"] - names["ideal:reference"] == {"wino", "dapd", "dawn"}


def test_the_selection_is_of_the_suite_and_tells_the_story() -> None:
    (part,) = parts_of(read_grid("quick"))
    assert part.group.tasks == tuple(hub_dataset.default_task_names())
    assert {method.name for method in part.group.methods} == {"confidence", "random", "threshold", "factor"}


# -- narrowing ---------------------------------------------------------------------------------------------------------


def test_options_narrow_a_grid() -> None:
    paper = read_grid("paper")
    assert runs(paper.narrowed(models=["a", "b"], tasks=["waiting_line_copy", "puzzle"])) == 2 * (150 + 2 * 189)
    narrow = paper.narrowed(models=["a"], schedulers=["confidence"], tasks=["waiting_line/copy"])
    assert runs(narrow) == 21
    assert runs(paper.narrowed(models=["a"], tasks=["waiting_line_copy"], block_length=8)) == 4 * 4 + 6 + 5
    assert runs(paper.narrowed(models=["a"], tasks=["waiting_line_copy"], new_tokens=64)) == 189
    assert paper.narrowed(samples=5).samples == 5
    assert paper.narrowed() == paper


def test_groups_with_models_of_their_own_stay_where_one_is_named() -> None:
    grid = read_grid("dllm_vs_llm")
    mercury, small = "api:mercury@https://api.inceptionlabs.ai/v1", "ar:Qwen/Qwen2.5-3B-Instruct"
    assert runs(grid.narrowed(models=[mercury])) == 17
    assert runs(grid.narrowed(models=[mercury, small])) == 17 + 17
    assert runs(grid.narrowed(models=["any/model"])) == 2 * 136 // 4
    assert runs(grid.narrowed(models=["any/model", small])) == 2 * 136 // 4 + 17
    assert runs(grid.narrowed(models=["any/model"], schedulers=["random:k=4"])) == 17
    assert runs(grid.narrowed(models=["ar:mine"])) == 17


def test_what_a_grid_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"case_study_copy_n6.*not in this grid"):
        read_grid("paper").narrowed(tasks=["case_study_copy_n6"])
    with pytest.raises(ValueError, match="unknown task"):
        read_grid("paper").narrowed(tasks=["copie"])
    grid = read_grid("quick").narrowed(tasks=["case_study_copy_n6"], within=False)
    assert [part.group.tasks for part in parts_of(grid)] == [("case_study_copy_n6",)]


# -- a file of one's own -----------------------------------------------------------------------------------------------

OWN = """
models: [ideal]
samples: 4
groups:
  - tasks: [waiting_line_copy, waiting_line/sort]
    block_length: [8, 16]
    methods: ["confidence:k=[2, 4]", "entropy:k=2,block_length=4", dilated]
"""


def test_a_file_of_one_s_own_is_read_the_same_way(tmp_path: Path) -> None:
    grid = written(tmp_path / "mine.yaml", OWN)
    (part,) = parts_of(grid)
    assert part.group.tasks == ("waiting_line_copy", "waiting_line_sort")
    assert list(map(str, part.group.methods)) == [
        "confidence(k=2, block_length=8)",
        "confidence(k=2, block_length=16)",
        "confidence(k=4, block_length=8)",
        "confidence(k=4, block_length=16)",
        "entropy(k=2, block_length=4)",
        "dilated(block_length=8)",
        "dilated(block_length=16)",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("models: [ideal]", "model: [ideal]"), ["models", "Field required"]),
        (("samples: 4", "sample: 4"), ["sample", "unknown key", "(value 4)"]),
        (("samples: 4", "samples: four"), ["samples", "integer", "(value 'four')"]),
        (("samples: 4", "samples: 0"), ["samples", "greater than 0", "(value 0)"]),
        (("[waiting_line_copy, waiting_line/sort]", "[waiting_line_cpy]"), ["groups.0.tasks", "did you mean"]),
        (("[waiting_line_copy, waiting_line/sort]", "waiting_line_copy"), ["groups.0.tasks", "list"]),
        (("[8, 16]", "half"), ["groups.0.block_length", "powers_of_two", "(value 'half')"]),
        (("[8, 16]", "[8, 0]"), ["groups.0.block_length", "(value [8, 0])"]),
        (("methods:", "method:"), ["groups.0.method", "unknown key"]),
        (("samples: 4", "samples: 4\nsamples: 5"), ["samples", "twice"]),
        (("models: [ideal]", "models: [ideal"), ["not YAML"]),
    ],
    ids=lambda value: str(value[-1]),
)
def test_what_is_wrong_is_one_line_with_file_key_and_value(
    change: tuple[str, str], expected: list[str], tmp_path: Path
) -> None:
    assert change[0] in OWN
    with pytest.raises(ValueError, match=r"mine\.yaml") as error:
        written(tmp_path / "mine.yaml", OWN.replace(*change))
    assert "\n" not in str(error.value)
    for part in expected:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("dilated]", "luck]"), "groups.0.methods.2: unknown scheduler 'luck'"),
        (("k=2,block", "quota=2,block"), "groups.0.methods.1: .*no parameter 'quota'"),
        (("    methods", "    needs: time\n  - tasks: [puzzle]\n    methods"), None),
        (
            ("dilated]", "dilated]\n  - {tasks: [waiting_line_copy], methods: [dilated], new_tokens: 8}"),
            "None and .* 8",
        ),
        (("dilated]", "dilated]\n  - {tasks: [puzzle]}"), "groups.1.methods: there are none"),
    ],
    ids=str,
)
def test_methods_and_lengths_are_checked_when_a_grid_is_expanded(
    change: tuple[str, str], expected: Any, tmp_path: Path
) -> None:
    grid = written(tmp_path / "mine.yaml", OWN.replace(*change))
    if expected is None:
        assert [part.needs for part in parts_of(grid)] == ["time", None]
        return
    with pytest.raises(ValueError, match=expected):
        parts_of(grid)


def test_a_grid_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="'papr'; known are dllm_vs_llm, methods, paper, protocol, quick"):
        read_grid("papr")

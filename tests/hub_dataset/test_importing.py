"""Tests of the import as a whole: every row in its order, answers that score 100, and nothing written when in doubt."""

import json
import shutil

import pytest
from support import ROOT, SAMPLES, golden_files

from hub_dataset.checks import load_scorer
from hub_dataset.importing import UnknownRowsError, import_original
from hub_dataset.importing_rows import TEXT_SCORERS
from hub_dataset.rows import COLUMNS
from hub_dataset.writing import build_dataset

SAMPLE = SAMPLES / "original"
TEST = "dataset/parallel_bench/data/output/test"


@pytest.fixture(scope="module")
def score():
    return load_scorer(ROOT / "metrics" / "parallelbench")


@pytest.fixture
def source(tmp_path):
    """A copy of the sample, to break."""
    return shutil.copytree(SAMPLE, tmp_path / "source")


def originals(source):
    """Config → rows, read independently of the import: file names make the names."""
    folders = {"original_{0}_{1}": source / TEST, "original2026_{1}": source}
    return {
        name.format(path.parent.name, path.stem).replace("-", "_"): [json.loads(line) for line in path.open()]
        for name, folder in folders.items()
        for path in folder.glob("*/*.jsonl")
    }


def imported_rows(output):
    paths = sorted(output.glob("*/test.jsonl"))
    return {path.parent.name: [json.loads(line) for line in path.open()] for path in paths}


@pytest.mark.parametrize("source", golden_files("original"))
def test_every_row_comes_in_its_order_and_its_answer_scores_100(tmp_path, source, score):
    output = tmp_path / "original"
    result = import_original(str(source), output, score=score)
    before, after = originals(source), imported_rows(output)
    assert result.skipped == []
    assert result.counts == {config: len(rows) for config, rows in before.items()}
    assert after.keys() == before.keys()
    for config, rows in after.items():
        for number, (row, original) in enumerate(zip(rows, before[config], strict=True)):
            assert list(row) == list(COLUMNS)
            assert row["id"] == f"{config}-test-{number:04d}"
            assert row["output_format"] == (original.get("output_format") or original.get("output_prefix") or "")
            shown = original["input"].values() if "input" in original else [original["messages"][-1]["content"]]
            assert all(str(value) in row["prompt"] for value in shown if not isinstance(value, list))
            assert "\\n" not in row["prompt"]
            assert row["prompt"] == row["messages"][-1]["content"]
            assert row["length"] == original["metadata"].get("length", row["length"])
        reference = json.loads(rows[0]["reference"])
        assert reference["task"] == config
        if reference["scorer"] not in TEXT_SCORERS:
            assert set(score([row["answer"] for row in rows], [row["reference"] for row in rows])) == {1.0}


def test_first_edition_and_later_edition_ask_the_same(tmp_path):
    import_original(str(SAMPLE), tmp_path / "original")
    rows = imported_rows(tmp_path / "original")
    first, later = (rows[f"{edition}_waiting_line_insert_random"] for edition in ("original", "original2026"))
    # The made-up rows are the same in both editions; all that differs is how they are kept.
    for column in ("messages", "prompt", "answer", "length", "max_new_tokens", "category"):
        assert [row[column] for row in first] == [row[column] for row in later]


def test_result_is_a_dataset_that_loads(tmp_path):
    import datasets

    output = tmp_path / "original"
    import_original(str(SAMPLE), output)
    cache = str(tmp_path / "cache")
    rows = datasets.load_dataset(str(output), "original_waiting_line_copy", cache_dir=cache)["test"]
    assert list(rows) == imported_rows(output)["original_waiting_line_copy"]
    sudoku = datasets.load_dataset(str(output), "original_puzzle_sudoku_n4_12", split="test", cache_dir=cache)
    assert datasets.concatenate_datasets([rows, sudoku]).num_rows == 3


def test_import_is_repeated_in_place_and_byte_for_byte(tmp_path):
    output = tmp_path / "original"
    contents = []
    for _ in range(2):
        import_original(str(SAMPLE), output)
        contents.append({path: path.read_bytes() for path in output.rglob("*") if path.is_file()})
    assert contents[0] == contents[1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["original"]


def test_import_takes_the_place_of_a_build_and_of_nothing_else(tmp_path):
    build_dataset(tmp_path / "built", ["puzzle_sudoku_n4_12"])
    import_original(str(SAMPLE / "later_edition"), tmp_path / "built")
    assert list(imported_rows(tmp_path / "built")) == ["original2026_waiting_line_insert_random"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match="not of a built dataset"):
        import_original(str(SAMPLE), tmp_path / "mine")


BROKEN = {
    "not json": ("waiting_line/copy.jsonl", "{", "is not JSON"),
    "no answer": ("waiting_line/copy.jsonl", '{"input": {"context": "[]", "icl_examples": []}}', "input.icl_examples"),
    "wrong answer": (
        "waiting_line/shuffle.jsonl",
        '{"input": {"context": "[]", "icl_examples": [{"input": {"context": ""}, "answer": "x"}]},'
        ' "answer": {"input": ["a", "b"], "example": "[\\"a\\", \\"b\\"]"}}',
        "its answer scores 0 against its own reference, not 100",
    ),
    "no grid": (
        "puzzle/sudoku_n4_12.jsonl",
        '{"input": {"sudoku": "0", "icl_examples": [{"input": {"sudoku": "0"}, "answer": "1"}]}, "answer": "12"}',
        "its answer cannot be scored: references[0]",
    ),
    "half a character": (
        "words_to_sentence/easy.jsonl",
        '{"input": {"words": "\\ud800"}, "answer": {"words": ["a"]}}',
        "surrogates not allowed",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_row_of_an_unknown_form_is_reported_with_file_and_line_and_nothing_is_written(tmp_path, source, score, case):
    name, line, message = BROKEN[case]
    path = source / TEST / name
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(UnknownRowsError) as caught:
        import_original(str(source), tmp_path / "original", score=score)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:2: ")
    assert message in problem
    assert not (tmp_path / "original").exists()

    result = import_original(str(source), tmp_path / "original", score=score, skip_unknown=True)
    assert result.skipped == [problem]
    config = f"original_{name.removesuffix('.jsonl').replace('/', '_')}"
    rows = imported_rows(tmp_path / "original")[config]
    assert [row["id"] for row in rows] == [f"{config}-test-{number:04d}" for number in range(len(lines))]


def test_unknown_task_and_empty_file_are_reported(tmp_path, source):
    (source / TEST / "waiting_line" / "juggle.jsonl").write_text("{}\n")
    (source / TEST / "waiting_line" / "sort.jsonl").write_text("\n")
    with pytest.raises(UnknownRowsError) as caught:
        import_original(str(source), tmp_path / "original")
    assert [problem.split(": ")[-1] for problem in caught.value.problems] == [
        "is missing, so that the prompt of the task is unknown",
        "holds no rows",
    ]
    result = import_original(str(source), tmp_path / "original", skip_unknown=True)
    assert "original_waiting_line_sort" not in result.counts


def test_nothing_is_written_where_no_row_is_known(tmp_path, source):
    for path in source.rglob("*.jsonl"):
        path.write_text("{}\n")
    with pytest.raises(ValueError, match="no row is of a known form"):
        import_original(str(source), tmp_path / "original", skip_unknown=True)
    assert not (tmp_path / "original").exists()


def test_two_files_for_one_config_are_refused(tmp_path, source):
    shutil.copy(
        source / "later_edition" / "waiting_line_insert_random.jsonl", source / "waiting-line_insert-random.jsonl"
    )
    with pytest.raises(ValueError, match=r"another task .*original2026_waiting_line_insert_random"):
        import_original(str(source), tmp_path / "original")

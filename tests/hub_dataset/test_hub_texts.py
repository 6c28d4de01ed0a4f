"""Tests of the public datasets, with the real `datasets` client against a Hub on loopback that serves small ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from loopback_hub import loopback_hub
from loopback_languagetool import loopback_languagetool
from public_sets import PARAPHRASES, SAMSUM, public_sets, serve, table

import hub_dataset
from hub_dataset import task_info
from hub_dataset.hub_texts import HubTexts, _read_dialogue, _read_paraphrases
from hub_dataset.text_files import Text

ROOT = Path(hub_dataset.__file__).resolve().parent.parent
BOTH = [SAMSUM, PARAPHRASES]
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def hub():
    with public_sets() as running:
        yield running


@pytest.fixture(scope="module")
def languagetool():
    with loopback_languagetool({"goed": "SPELLING"}) as running:
        yield running


@pytest.fixture(scope="module")
def environment(hub, languagetool, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return hub.environment(home) | {"PARALLELBENCH_LANGUAGETOOL_URL": languagetool.url}


def run(*arguments, env):
    command = [sys.executable, str(ROOT / "generate_tasks.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=dict(env), capture_output=True, text=True, check=False)


def build(output, *tasks, env):
    return run("build", *tasks, "--output", output, env=env)


def read_rows(output, config):
    return [json.loads(line) for line in (output / config / "test.jsonl").read_text(encoding="utf-8").splitlines()]


def configs_of_card(output):
    header = yaml.safe_load((output / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    return [entry["config_name"] for entry in header["configs"]]


@pytest.fixture(scope="module")
def built(environment, tmp_path_factory):
    output = tmp_path_factory.mktemp("built") / "parallelbench"
    result = build(output, *BOTH, "text_writing_paraphrase", env=environment)
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == (f"{output}: 300 rows, 3 tasks, test\n", "")
    return output


def test_rows_of_both_sets_are_built_beside_the_projects_own(built):
    assert configs_of_card(built) == [
        name for name in hub_dataset.config_names() if name in {*BOTH, "text_writing_paraphrase"}
    ]
    for config in BOTH:
        rows = read_rows(built, config)
        assert [row["id"] for row in rows] == [f"{config}-test-{number:04d}" for number in range(100)]
        assert len({row["prompt"] for row in rows}) == 100


def test_only_grammatical_rows_are_taken(built):
    for row in read_rows(built, SAMSUM):
        assert "goed" not in row["answer"]
        assert "it was goed, too!" in row["prompt"]  # of a dialogue only the summary is checked
    for row in read_rows(built, PARAPHRASES):
        assert "goed" not in row["prompt"] + row["answer"]


def test_rows_are_those_of_the_pinned_revision_and_not_of_the_branch(built, hub):
    assert not any("Later" in row["prompt"] for config in BOTH for row in read_rows(built, config))
    files = {path for method, path, status in hub.log if "/resolve/" in path and status < 300}
    assert files
    assert all(any(task_info(config).source.revision in path for config in BOTH) for path in files)


def test_references_hold_what_the_scorers_need(built):
    row = read_rows(built, SAMSUM)[0]
    assert json.loads(row["reference"]) == {"scorer": "summary", "task": SAMSUM, "summary": row["answer"]}
    assert "\r" not in row["prompt"]
    row = read_rows(built, PARAPHRASES)[0]
    reference = json.loads(row["reference"])
    assert reference == {"scorer": "paraphrase", "task": PARAPHRASES, "text": reference["text"]}
    assert reference["text"] in row["prompt"]
    assert row["answer"] != reference["text"]


def test_second_build_is_the_same_and_the_cache_does_without_the_hub(built, environment, tmp_path):
    offline = environment | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": UNREACHABLE}
    output = tmp_path / "parallelbench"
    result = build(output, *BOTH, "text_writing_paraphrase", env=offline)
    assert result.returncode == 0, result.stderr
    for path in sorted(built.rglob("*.*")):
        assert (output / path.relative_to(built)).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_check_accepts_the_public_sets_and_finds_their_grammar(environment, languagetool):
    result = run("check", *BOTH, env=environment)
    assert result.returncode == 0, result.stderr
    assert "2 tasks are sound" in result.stdout
    said = "is not compared: no checksum is recorded; --update records it"
    assert sorted(result.stderr.splitlines()) == sorted(f"{config} {said}" for config in BOTH)
    assert any(text.startswith("Ada and Bo have both seen") for _, text in languagetool.log)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"HF_ENDPOINT": UNREACHABLE}, "cannot be loaded from the Hub: [Errno 111] Connection refused"),
        ({"PARALLELBENCH_LANGUAGETOOL_URL": ""}, "no grammar checker: start a LanguageTool server"),
        ({"PARALLELBENCH_LANGUAGETOOL_URL": UNREACHABLE}, "no LanguageTool server answers"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_missing_is_one_line_and_the_rest_is_built(environment, tmp_path, change, reason, workers):
    output = tmp_path / "parallelbench"
    env = environment | change | {"HF_HOME": str(tmp_path / "home")}
    result = build(output, SAMSUM, "text_writing_summarize", "waiting_line_copy", "--workers", workers, env=env)
    assert result.returncode == 0
    (line,) = [line for line in result.stderr.splitlines() if "left out" in line]
    assert result.stderr.splitlines() == [line]
    assert line.startswith(f"{SAMSUM} is left out: ")
    assert reason in line
    assert result.stdout == f"{output}: 200 rows, 2 tasks, test\n"
    assert sorted(configs_of_card(output)) == ["text_writing_summarize", "waiting_line_copy"]
    assert sorted(path.name for path in output.iterdir()) == [
        "README.md",
        "text_writing_summarize",
        "waiting_line_copy",
    ]


def test_nothing_left_to_build_is_an_error_that_leaves_the_old_build(environment, tmp_path):
    output = tmp_path / "parallelbench"
    env = environment | {"PARALLELBENCH_LANGUAGETOOL_URL": ""}
    assert build(output, "waiting_line_copy", env=env).returncode == 0
    result = build(output, SAMSUM, env=env)
    assert result.returncode == 2
    assert "nothing can be built: paraphrase_summarize_samsum is left out: no grammar checker" in result.stderr
    assert configs_of_card(output) == ["waiting_line_copy"]


def test_check_says_what_it_leaves_out(environment):
    result = run("check", SAMSUM, "text_writing_summarize", env=environment | {"PARALLELBENCH_LANGUAGETOOL_URL": ""})
    assert result.returncode == 0, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("the grammar of answers is not checked: no grammar checker")
    assert lines[1].startswith(f"{SAMSUM} is left out: no grammar checker")
    assert "1 tasks are sound" in result.stdout


@pytest.mark.slow
def test_set_with_other_columns_or_too_few_rows_is_named(environment, languagetool, tmp_path):
    columns = ("id", "dialogue", "abstract")
    few = {"test.csv": table((*columns[:2], "summary"), [("1", "Ada: Hi." + " Ho." * 30, "Ada greets.")])}
    for files, message in (
        (
            {"test.csv": table(columns, [("1", "Ada: Hi.", "Ada greets.")])},
            "has no column 'summary'; it has id, dialogue",
        ),
        (few, "rows: 100: paraphrase_summarize_samsum: knkarthick/samsum (test) has only"),
    ):
        with loopback_hub({}) as other:
            serve(other, SAMSUM, files, files)
            home = tmp_path / str(len(message))
            env = other.environment(home) | {"PARALLELBENCH_LANGUAGETOOL_URL": languagetool.url}
            result = build(tmp_path / "parallelbench", SAMSUM, env=env)
        assert result.returncode == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"text": " Hi you. ", "paraphrases": "['HI you.', 'Hey.', 'Hey.', 3, '']"}, Text("Hi you.", ("Hey.",))),
        ({"text": "Hi you.", "paraphrases": "['hi you.']"}, None),
        ({"text": "Hi\nyou.", "paraphrases": "['Hey.']"}, None),
        ({"text": None, "paraphrases": "['Hey.']"}, None),
        ({"text": "Hi you.", "paraphrases": "Hey."}, None),
        ({"text": "Hi you.", "paraphrases": "('Hey.',)"}, None),
        ({"text": "Hi you.", "paraphrases": None}, None),
        ({"text": "Hi you.", "paraphrases": "__import__('os').getcwd()"}, None),
        ({"text": "Hi you.", "paraphrases": "(" * 10_000}, None),
    ],
)
def test_paraphrases_of_another_form_are_passed_over(row, text):
    assert _read_paraphrases(row) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"dialogue": "A: Hi. \r\nB: Ho.\r\n", "summary": " They greet. "}, Text("A: Hi.\nB: Ho.", ("They greet.",))),
        ({"dialogue": "A: Hi.", "summary": None}, None),
        ({"dialogue": None, "summary": "They greet."}, None),
        ({"dialogue": " ", "summary": "They greet."}, None),
    ],
)
def test_dialogues_of_another_form_are_passed_over(row, text):
    assert _read_dialogue(row) == text


def test_rows_are_read_one_at_a_time():
    texts = HubTexts(
        [{"dialogue": "A: Hi.", "summary": "A greets."}, {"dialogue": None, "summary": None}], _read_dialogue
    )
    assert len(texts) == 2
    assert texts[0] == Text("A: Hi.", ("A greets.",))
    assert texts[1] is None


def test_nothing_of_datasets_is_imported_before_it_is_needed():
    code = "import sys, hub_dataset; hub_dataset.build_rows('text_writing_paraphrase');"
    code += "print([name for name in ('datasets', 'huggingface_hub', 'urllib3') if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"

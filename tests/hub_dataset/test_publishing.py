"""Tests of publishing, with the real clients against a Hub on loopback."""

import json
import re
import shutil
import subprocess
from hashlib import sha256

import pytest
from loopback_hub import loopback_hub
from small_project import ROOT, ROWS, TASKS, SmallProject, run_python

from hub_dataset import DATA_VERSION, build_rows
from hub_dataset.generators.pools import People, names_of_version_1
from hub_dataset.publishing import MODEL_FILES, Upload, dataset_upload, model_upload
from hub_dataset.version import MODEL_VERSION

TOKEN = "hf_adasSecretToken"
OTHER = "hf_gracesSecretToken"
REPO = "ada/parallelbench"
MODEL = "ada/parallelbench-model"
FILES = ["README.md", *(f"{task}/test.parquet" for task in TASKS)]


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    small = SmallProject(folder)
    small.set_version("1.0.0")
    return small


@pytest.fixture
def hub():
    with loopback_hub({TOKEN: "ada", OTHER: "grace"}) as running:
        yield running


@pytest.fixture
def environment(hub, tmp_path):
    return hub.environment(tmp_path / "home", TOKEN)


def commits(hub, kind="dataset"):
    return list(hub.repositories[kind, REPO].titles.values())


def test_publish_makes_one_commit_and_a_tag_in_each_repository(hub, project, environment):
    listed = project.run("publish", "--dry-run", "--repo", REPO, env=environment)
    assert listed.returncode == 0, listed.stderr
    assert hub.log == []

    result = project.run("publish", env=environment)
    assert result.returncode == 0, result.stderr
    assert TOKEN not in result.stdout + result.stderr
    assert commits(hub) == commits(hub, "space") == ["initial commit", "v1.0.0"]
    assert hub.repositories["space", REPO].sdk == "gradio"
    uploaded = []
    for kind in ("dataset", "space"):
        files = hub.files(kind, REPO, "v1.0.0")
        del files[".gitattributes"]
        uploaded.append(f"{kind} {REPO}: {len(files)} files, tag v1.0.0")
        uploaded += [f"{sha256(files[path]).hexdigest()}  {len(files[path]):>9}  {path}" for path in sorted(files)]
    assert listed.stdout.splitlines() == uploaded
    assert "parallelbench.py" in listed.stdout


@pytest.mark.slow
def test_second_publish_changes_nothing_and_a_tag_never_moves(hub, project, environment):
    assert project.run("publish", env=environment).returncode == 0
    before = {key: (dict(repo.commits), dict(repo.refs)) for key, repo in hub.repositories.items()}

    again = project.run("publish", env=environment)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("v1.0.0 is there already, with the same content") == 2

    project.change_rows("A queue")
    moved = project.run("publish", env=environment)
    assert moved.returncode == 2
    *_, error = moved.stderr.splitlines()
    assert error.startswith(f"Error: the dataset {REPO} has a tag v1.0.0 with other content")
    assert {key: (repo.commits, repo.refs) for key, repo in hub.repositories.items()} == before


@pytest.mark.slow
def test_model_is_published_with_a_tag_of_its_own_that_never_moves(hub, project, environment, tmp_path):
    folder = project.write_model(b"weights")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "note").write_text("for no one else", encoding="utf-8")
    arguments = ["publish", "--only", "model"]
    listed = project.run(*arguments, "--dry-run", "--model", MODEL, env=environment)
    assert listed.returncode == 0, listed.stderr
    assert hub.log == []

    result = project.run(*arguments, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"model {MODEL}: 5 files, tag v{MODEL_VERSION}\n"
    assert list(hub.repositories) == [("model", MODEL)]
    repository = hub.repositories["model", MODEL]
    assert list(repository.titles.values()) == ["initial commit", f"v{MODEL_VERSION}"]
    files = hub.files("model", MODEL, f"v{MODEL_VERSION}")
    assert sorted(files) == sorted([".gitattributes", "training_log.jsonl", *MODEL_FILES])
    assert files["model.safetensors"] == b"weights"
    assert [line.split()[-1] for line in listed.stdout.splitlines()[1:]] == sorted(files)[1:]

    again = project.run(*arguments, env=environment)
    assert re.fullmatch(rf"model {MODEL}: v{MODEL_VERSION} .*same content\n", again.stdout)
    before = dict(repository.commits), dict(repository.refs)
    project.write_model(b"Weights")
    moved = project.run(*arguments, env=environment)
    assert moved.returncode == 2
    assert re.fullmatch(rf"Error: .*model {MODEL} .*v{MODEL_VERSION} .*hub_dataset/version.py\n", moved.stderr)
    assert (repository.commits, repository.refs) == before

    code = f"import huggingface_hub as hub; print(open(hub.hf_hub_download({MODEL!r}, 'model.safetensors')).read())"
    assert run_python(code, hub.environment(tmp_path / "reader"), tmp_path).strip() == "weights"


@pytest.mark.slow
def test_all_that_is_there_is_published_and_a_missing_model_left_out(hub, project, environment):
    result = project.run("publish", env=environment)
    model = project.folder / "hub_model"
    assert re.fullmatch(rf".*left out: {model} .*README.md is missing\n", result.stderr)
    assert set(hub.repositories) == {("dataset", REPO), ("space", REPO)}
    project.write_model(b"weights")
    result = project.run("publish", env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert set(hub.repositories) == {("dataset", REPO), ("space", REPO), ("model", MODEL)}


@pytest.mark.parametrize("missing", MODEL_FILES)
def test_folder_without_a_whole_model_is_refused(project, missing):
    folder = project.write_model(b"weights")
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"hub_model .*{missing} is missing"):
        model_upload(MODEL, folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "model"], "hub_model holds no whole model: README.md is missing"),
        (["--model", MODEL], "hub_model holds no whole model: README.md is missing"),
        (["--only", "metric", "--model", MODEL], f"--model {MODEL} has no effect without --only model"),
        (["--only", "model", "--space", REPO], f"--space {REPO} has no effect without --only metric"),
    ],
)
def test_parts_that_cannot_be_published_are_one_line(hub, project, environment, arguments, message):
    result = project.run("publish", *arguments, env=environment)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert hub.repositories == {}


@pytest.mark.slow
def test_every_tag_loads_its_own_rows_and_streams(hub, project, environment, tmp_path):
    assert project.run("publish", env=environment).returncode == 0
    project.change_rows("A queue")
    project.set_version("2.0.0")
    assert project.run("publish", env=environment).returncode == 0
    assert commits(hub) == ["initial commit", "v1.0.0", "v2.0.0"]

    code = f"""
import json, datasets, evaluate
found = {{}}
for tag in ("v1.0.0", "v2.0.0"):
    rows = datasets.load_dataset({REPO!r}, "waiting_line_copy", split="test", revision=tag)
    streamed = datasets.load_dataset({REPO!r}, "waiting_line_copy", split="test", revision=tag, streaming=True)
    assert list(streamed) == list(rows)
    found[tag] = [rows.num_rows, rows[0]["prompt"].split(":")[0]]
metric = evaluate.load({REPO!r}, revision="v2.0.0")
found["score"] = metric.compute(predictions=rows["answer"], references=rows["reference"])["score"]
print(json.dumps(found))
"""
    found = json.loads(run_python(code, hub.environment(tmp_path / "reader"), tmp_path).splitlines()[-1])
    first = "These people are waiting in line, from the front (position 0) to the back"
    assert found == {"v1.0.0": [ROWS, first], "v2.0.0": [ROWS, "A queue"], "score": 100}


@pytest.mark.slow
def test_publishing_version_2_leaves_tag_and_rows_of_1_1_alone(hub, project, environment, tmp_path):
    sources = project.folder / "hub_dataset" / "sources"
    earlier = [name for name in names_of_version_1() if name not in People("test").first_names]
    (sources / "first_names_test.txt").write_text("\n".join(sorted(earlier)[:100]))
    project.set_version("1.1.0")
    assert project.run("publish", env=environment).returncode == 0
    before = dict(hub.files("dataset", REPO, "v1.1.0"))

    for path in ("version.py", "sources/first_names_test.txt"):
        shutil.copy(ROOT / "hub_dataset" / path, project.folder / "hub_dataset" / path)
    result = project.run("publish", env=environment)
    assert result.returncode == 0, result.stderr
    assert commits(hub) == ["initial commit", "v1.1.0", f"v{DATA_VERSION}"]
    assert hub.files("dataset", REPO, "v1.1.0") == before

    code = f"""
import json, datasets
def answers(revision):
    return datasets.load_dataset({REPO!r}, "waiting_line_copy", split="test", revision=revision)["answer"]
print(json.dumps([list(answers(tag)) for tag in ("v1.1.0", "v{DATA_VERSION}")]))
"""
    old, new = json.loads(run_python(code, hub.environment(tmp_path / "reader"), tmp_path).splitlines()[-1])
    assert {person.split()[0] for answer in old for person in json.loads(answer)} <= set(earlier)
    assert new == [row["answer"] for row in build_rows("waiting_line_copy", rows=ROWS)]


@pytest.mark.slow
def test_interrupted_upload_leaves_the_old_version_and_is_taken_up_again(hub, project, environment, tmp_path):
    assert project.run("publish", env=environment).returncode == 0
    before = dict(hub.files("dataset", REPO))
    project.change_rows("A queue")
    project.set_version("2.0.0")

    hub.uploads_before_stall = len(hub.stored) + 1
    process = subprocess.Popen(project.command("publish"), cwd=project.folder, env=environment)
    assert hub.stalled.wait(60)
    process.kill()
    process.wait()
    assert commits(hub) == ["initial commit", "v1.0.0"]
    assert set(hub.repositories["dataset", REPO].refs) == {"main", "v1.0.0"}
    assert hub.files("dataset", REPO) == before
    code = f"import datasets; print(datasets.load_dataset({REPO!r}, 'waiting_line_shuffle', split='test').num_rows)"
    assert run_python(code, hub.environment(tmp_path / "reader"), tmp_path).strip() == str(ROWS)

    hub.uploads_before_stall = None
    assert project.run("publish", env=environment).returncode == 0
    assert commits(hub) == ["initial commit", "v1.0.0", "v2.0.0"]


@pytest.mark.slow
def test_publish_stopped_between_commit_and_tag_only_tags(hub, project, environment):
    assert project.run("publish", env=environment).returncode == 0
    del hub.repositories["dataset", REPO].refs["v1.0.0"]
    assert project.run("publish", env=environment).returncode == 0
    assert commits(hub) == ["initial commit", "v1.0.0"]
    assert hub.repositories["dataset", REPO].refs["v1.0.0"] == hub.repositories["dataset", REPO].refs["main"]


@pytest.mark.slow
def test_files_that_are_no_longer_built_are_removed(hub, project, environment):
    assert project.run("publish", env=environment).returncode == 0
    group = project.group.read_text(encoding="utf-8")
    project.group.write_text(group.replace("waiting_line_{task}", "line_{task}"), encoding="utf-8")
    project.set_version("1.1.0")
    assert project.run("publish", env=environment).returncode == 0
    expected = [".gitattributes", "README.md", "line_copy/test.parquet", "line_shuffle/test.parquet"]
    assert sorted(hub.files("dataset", REPO)) == expected
    assert sorted(hub.files("dataset", REPO, "v1.0.0")) == [".gitattributes", *FILES]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"HF_TOKEN": None}, [], "no Hugging Face token: log in with `hf auth login`, or set HF_TOKEN"),
        ({"HF_TOKEN": "hf_unknownSecretToken"}, [], "the Hub does not accept the token (401)"),
        (
            {},
            ["--repo", "grace/parallelbench", "--only", "dataset"],
            "the token may not write to the dataset grace/parallelbench (403)",
        ),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, [], "cannot reach the Hub at http://127.0.0.1:9: no connection"),
        ({"HF_HUB_OFFLINE": "1"}, [], "HF_HUB_OFFLINE is set"),
        ({}, ["--repo", "parallelbench"], "'parallelbench' is not the name of a repository"),
    ],
)
def test_what_the_hub_refuses_is_one_line_without_the_token(hub, project, environment, change, arguments, message):
    environment = {name: value for name, value in (environment | change).items() if value is not None}
    result = project.run("publish", *arguments, env=environment)
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
    assert "SecretToken" not in result.stdout + result.stderr
    assert hub.repositories == {}


def test_token_that_no_header_can_carry_is_not_printed(project, environment):
    result = project.run("publish", env=environment | {"HF_TOKEN": "hf_Secret\x01Token"})
    assert result.returncode == 2
    assert "Secret" not in result.stdout + result.stderr
    assert result.stderr.count("\n") == 1


def test_same_rows_give_the_same_upload(tmp_path):
    uploads = [dataset_upload(tmp_path / name, TASKS, REPO) for name in "ab"]
    assert list(uploads[0].lines()) == list(uploads[1].lines())
    assert list(uploads[0].files) == FILES


def test_lines_name_hash_size_and_path(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    line = next(Upload("dataset", REPO, {"folder/x": tmp_path / "x"}).lines())
    assert line.split() == [sha256(b"abc").hexdigest(), "3", "folder/x"]


def test_rows_that_may_not_be_passed_on_are_left_out(tmp_path):
    said = []
    configs = ["waiting_line_copy", "paraphrase_summarize_samsum"]
    dataset = dataset_upload(tmp_path, configs, "me/parallelbench", on_skip=said.append)
    assert not [path for path in dataset.files if "samsum" in path]
    assert [path for path in dataset.files if "waiting_line_copy" in path]
    assert len(said) == 1
    assert said[0].startswith("paraphrase_summarize_samsum is left out: its licence")

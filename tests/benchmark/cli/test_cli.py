"""The command line as users meet it: help, one line for what is wrong, and runs that are killed, stopped or doubled."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from support import assert_one_line, call, heed_interrupts, timeless

from benchmark.cli import COMMANDS, main
from benchmark.cli.run_options import RunOptions
from benchmark.engine.threads import Terminated
from benchmark.models import ModelOptions
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

SCRIPT = Path(sys.executable).with_name("parallelbench")
HEAVY = ("torch", "datasets", "transformers", "evaluate", "matplotlib", "numpy", "diffusers", "rich", "yaml")
# Row by row the settings of small quotas take a second each: time enough to stop the run in the middle.
SLOW_RUN = [
    "run",
    "--model",
    "ideal",
    "--task",
    "waiting_line_shuffle",
    "--task",
    "puzzle_sudoku*",
    "--scheduler",
    "random",
]
SLOW_RUN += ["--samples", "16"]
SLOW_RUN_FILES = 6 + 7
SMALL_RUN = ["run", "--model", "ideal", "--task", "waiting_line_shuffle", "--scheduler", "random:k=8", "--samples", "4"]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **changes}


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The installed command in a process of its own, which does not outlive the test."""
    # What a killed process leaves among the temporary files goes with the test's own.
    variables = environment(TMPDIR=str(Path.cwd()))
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
        preexec_fn=heed_interrupts,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_samples(process: subprocess.Popen[str], directory: Path) -> None:
    """Until the first setting is on disk."""
    limit = time.monotonic() + 120
    while not list(directory.glob("samples/*/*/*.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)


def samples(directory: Path) -> dict[str, bytes]:
    """The samples on disk, by their path in the run's directory."""
    return {str(path.relative_to(directory)): timeless(path) for path in directory.glob("samples/*/*/*.jsonl")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The samples of `SLOW_RUN` when nothing comes in between."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)
        assert call(*SLOW_RUN, "--output", str(directory)).exit_code == 0
    assert len(samples(directory)) == SLOW_RUN_FILES
    return samples(directory)


# -- help ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [None, *COMMANDS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help_with_an_example(command: str | None, option: str) -> None:
    result = call(*filter(None, [command, option]))
    assert result.exit_code == 0
    assert "Example:\n    parallelbench" in result.output.replace("\n  Example:", "\nExample:")


def test_every_option_of_run_says_what_it_does() -> None:
    command = main.get_command(click.Context(main), "run")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert {option.name for option in options} == {
        *("models", "tasks", "schedulers", "samples", "block_length", "max_new_tokens", "temperature"),
        *("seed", "seeds", "batch_size", "output", "fresh", "full", "dtype", "device", "revision", "compiled"),
        *("quantization", "logs", "log_samples", "published"),
        *("grid", "dry_run", "allow_unanswerable", "chat_options", "debug", "sharing", "memory"),
        *("base_url", "concurrency", "timeout", "log_requests", "config", "gpus", "workers", "ray", "probe"),
    }
    assert all(option.help for option in options)


def test_without_a_command_there_is_help() -> None:
    assert call().exit_code == 0
    assert call().output == call("--help").output
    assert all(name in call().output for name in ("run", "report", "list"))


def test_the_version_is_that_of_the_package() -> None:
    from benchmark.protocol.settings import package_version

    assert package_version() in call("--version").output


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom benchmark.cli import main\n"
        f"try: main({arguments!r})\nfinally: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("Usage:")
    assert printed.splitlines()[-1] == "[]"


def test_the_list_of_tasks_needs_no_torch() -> None:
    script = "import sys\nfrom benchmark.cli import main\nmain(['list', 'tasks'])\nprint('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "waiting_line_copy" in printed
    assert printed.splitlines()[-1] == "False"


# -- what is wrong, in one line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["walk"], "'walk'"),
        (["run", "--colour", "red"], "'--colour'"),
        (["run", "now"], "now"),
        (["run", "--model", "gpt"], "unknown model 'gpt'; write ideal, reference"),
        (["run", "--task", "waiting_line_cpy"], "did you mean waiting_line_copy"),
        (["run", "--scheduler", "luck"], "unknown scheduler 'luck'; known are random,"),
        (["run", "--scheduler", "random:quota=4"], "no parameter 'quota'; it has k,"),
        (["run", "--scheduler", "random:k=four"], "k='four' should be a whole number"),
        (["run", "--grid", "papr"], "unknown grid 'papr'; known are dllm_vs_llm"),
        (
            ["run", "--grid", "paper", "--task", "case_study_copy_n6", "--dry-run"],
            "'case_study_copy_n6' is not in this",
        ),
        (["run", "--grid", "paper", "--model", "gpt"], "unknown model 'gpt'"),
        (["run", "--samples", "0"], "'--samples': 0"),
        (["run", "--samples", "ten"], "'ten'"),
        (["run", "--batch-size", "0"], "'--batch-size': 0 is neither auto nor"),
        (["run", "--batch-size", "many"], "'--batch-size': many is neither auto nor"),
        (["run", "--dtype", "int8"], "'--dtype'"),
        (["run", "--revision", " "], "'--revision': it is empty"),
        (["run", "--model", "ideal", "--revision", "main"], "none of the models comes from the Hub"),
        (["run", "--block-length", "-1"], "'--block-length': -1"),
        (["run", "--max-new-tokens", "0"], "'--max-new-tokens': 0"),
        (["run", "--model", "ideal", "--max-new-tokens", "4"], "give at least 24 new tokens"),
        (["run", "--seed", "1.5"], "'1.5'"),
        (["run", "--temperature", "-1"], "'--temperature': -1"),
        (["run", "--temperature", "nan"], "'--temperature': nan is not a finite number"),
        (["run", "--temperature", "inf"], "'--temperature': inf is not a finite number"),
        (["run", "--output", ""], "'--output': it is empty"),
        (["report"], "DIRECTORY"),
        (["report", ""], "it is empty"),
        (["report", "nowhere"], "nowhere holds no run"),
        (["list", "colours"], "'tasks', 'schedulers', 'models', 'grids'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_users_get_wrong_is_one_line_and_exit_code_2(arguments: list[str], expected: str, elsewhere: Path) -> None:
    assert_one_line(call(*arguments), expected)
    assert list(elsewhere.iterdir()) == []


def test_a_directory_with_another_run_is_one_line(elsewhere: Path, without_report: None) -> None:
    assert call(*SMALL_RUN, "--output", "run").exit_code == 0
    assert_one_line(call(*SMALL_RUN, "--output", "run", "--seed", "1"), "other seeds")
    assert call(*SMALL_RUN, "--output", "run").exit_code == 0


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a directory that nobody can write")
@pytest.mark.parametrize("command", [[*SMALL_RUN, "--output"], ["report"]], ids=["run", "report"])
def test_a_directory_that_cannot_be_written_is_one_line(command: list[str], elsewhere: Path) -> None:
    assert_one_line(call(*command, "/proc/results"), "/proc/results")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "results/run"), "Error: results/run: Permission denied\n"),
        (OSError(28, "No space left on device"), "Error: [Errno 28] No space left on device\n"),
        (ValueError("two\n  lines"), "Error: two lines\n"),
    ],
    ids=["permission", "disk full", "two lines"],
)
def test_what_the_system_refuses_is_one_line(error: Exception, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(options: RunOptions) -> None:
        raise error

    monkeypatch.setattr("benchmark.cli.run.run_benchmark", refuse)
    result = call("run")
    assert (result.exit_code, result.stderr) == (2, line)


def test_a_mistake_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: RunOptions) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("benchmark.cli.run.run_benchmark", fail)
    assert isinstance(call("run").exception, RuntimeError)


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_ctrl_c_and_sigterm_anywhere_are_their_exit_codes_without_a_traceback(
    stop: type[KeyboardInterrupt], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(options: RunOptions) -> None:
        raise stop

    monkeypatch.setattr("benchmark.cli.run.run_benchmark", interrupted)
    result = call("run")
    assert result.exit_code == code
    assert isinstance(result.exception, SystemExit)


# -- options reach the run -----------------------------------------------------------------------------------------


def test_run_hands_over_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunOptions] = []
    monkeypatch.setattr("benchmark.cli.run.run_benchmark", seen.append)
    assert call("run").exit_code == 0
    line = "run --model ideal --model ideal --task a --task b/* --scheduler random:k=4 --scheduler entropy --samples 5"
    line += " --block-length 8 --max-new-tokens 40 --temperature 0 --seed -3 --batch-size 7 --output there --fresh"
    line += " --full --dtype bfloat16 --device cuda:1 --revision v1 --compile --grid paper"
    line += " --dry-run --no-probe --allow-unanswerable --gpus 3 --workers 4 --ray auto"
    assert call(*line.split()).exit_code == 0
    assert seen == [
        RunOptions(),
        RunOptions(
            models=("ideal", "ideal"),
            tasks=("a", "b/*"),
            schedulers=("random:k=4", "entropy"),
            grid="paper",
            samples=5,
            full=True,
            block_length=8,
            max_new_tokens=40,
            temperature=0.0,
            seed=-3,
            batch_size=7,
            dtype="bfloat16",
            device="cuda:1",
            revision="v1",
            compiled=True,
            output=Path("there"),
            fresh=True,
            allow_unanswerable=True,
            dry_run=True,
            probe=False,
            gpus=3,
            workers=4,
            ray="auto",
        ),
    ]
    assert seen[0].for_models == ModelOptions(compile=None), "the device decides"
    assert call("run", "--no-compile").exit_code == 0
    assert seen.pop().for_models.compile is False
    assert seen[1].for_models == ModelOptions("bfloat16", "cuda:1", "v1", compile=True)


def test_lengths_beyond_the_answer_and_the_rows_are_no_error(elsewhere: Path, without_report: None) -> None:
    arguments = [
        "--model",
        "ideal",
        "--task",
        "puzzle_sudoku/n4/12",
        "--scheduler",
        "random:k=500",
        "--scheduler",
        "left-to-right:k=64",
    ]
    result = call("run", *arguments, "--samples", "999", "--block-length", "999", "--output", "run")
    assert result.exit_code == 0, result.output
    for text in ("random(k=500, block_length=999)", "left_to_right(k=64, block_length=999)"):
        found = RunStore("run").read_samples("ideal", "puzzle_sudoku_n4_12", Method.parse(text))
        assert len(found) == 108
        assert {sample["num_forward_passes"] for sample in found} == {1}


# -- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(
    elsewhere: Path, without_report: None, uninterrupted: dict[str, bytes]
) -> None:
    with started(*SLOW_RUN, "--output", "run", "--batch-size", "1") as process:
        wait_for_samples(process, Path("run"))
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    kept = samples(Path("run"))
    assert 0 < len(kept) < SLOW_RUN_FILES
    assert kept.items() <= uninterrupted.items()
    times = {name: Path("run", name).stat().st_mtime_ns for name in kept}

    result = call(*SLOW_RUN, "--output", "run")
    assert result.exit_code == 0, result.output
    assert f"{len(kept)} of {SLOW_RUN_FILES} settings are on disk" in result.stdout
    assert samples(Path("run")) == uninterrupted
    assert {name: Path("run", name).stat().st_mtime_ns for name in kept} == times
    assert not list(Path("run").rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_a_second_process_is_kept_out_and_a_stop_keeps_what_is_finished(
    told: signal.Signals, elsewhere: Path, without_report: None, uninterrupted: dict[str, bytes]
) -> None:
    with started(*SLOW_RUN, "--output", "run", "--batch-size", "1") as process:
        wait_for_samples(process, Path("run"))
        for more in ([], ["--fresh"]):
            assert_one_line(call(*SLOW_RUN, "--output", "run", *more), "run is in use by another run")
        assert process.poll() is None, process.communicate()
        process.send_signal(told)
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + told
    assert printed.splitlines()[-1] == "stopped; what is finished is kept, and the same command goes on from here"
    assert errors == ""
    kept = samples(Path("run"))
    assert 0 < len(kept) < SLOW_RUN_FILES

    assert call(*SLOW_RUN, "--output", "run").exit_code == 0
    assert samples(Path("run")) == uninterrupted


@pytest.mark.slow
def test_a_run_needs_no_home_no_utf_8_and_no_terminal(elsewhere: Path) -> None:
    temporary = elsewhere / "temporary"
    temporary.mkdir()
    nowhere = "/proc/home" if Path("/proc/self").exists() else "/dev/null/home"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}
    # The caches of Matplotlib and of torch's compiler are their own affair.
    caches = {"MPLCONFIGDIR": str(elsewhere / "matplotlib"), "TORCHINDUCTOR_CACHE_DIR": str(elsewhere / "inductor")}
    changes = {"HOME": nowhere, "TMPDIR": str(temporary), **caches, **locale}
    variables = {name: value for name, value in environment(**changes).items() if not name.startswith(("HF_", "XDG_"))}
    done = subprocess.run([SCRIPT, *SMALL_RUN, "--output", "run"], capture_output=True, env=variables, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert b"waiting_line_shuffle: done; 1 of 1 settings are on disk\n" in done.stdout
    assert b"95 % interval" in done.stdout
    assert all(32 <= byte < 127 or byte == 10 for byte in done.stdout)
    assert list(temporary.iterdir()) == []


def test_a_reader_that_goes_away_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([SCRIPT, "list", "tasks"], stdout=write, stderr=subprocess.PIPE, env=environment())
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1

"""Code of the user's own: told from ours and from what is installed, by its source, and named in errors."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import click
import pytest
from own_code import line_of, write_modules
from support import call

from benchmark.models import IdealModel
from benchmark.protocol.user_code import class_sources, is_users_file, place_of_error, search_here, sources
from samplers import ConfidenceScheduler

RUN = ["run", "--model", "ideal", "--task", "waiting_line_copy", "--samples", "2", "--output", "out"]


def test_ours_and_what_is_installed_is_not_the_users(tmp_path: Path) -> None:
    own = tmp_path / "rule.py"
    own.touch()
    assert is_users_file(str(own))
    assert not any(
        map(is_users_file, [json.__file__, click.__file__, sys.modules[IdealModel.__module__].__file__ or ""])
    )
    assert not is_users_file("<stdin>")


def test_what_pip_installs_into_a_folder_of_any_name_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "somebodys-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as file:
        file.writestr("somebodys/__init__.py", "")
        file.writestr("somebodys/parts/rule.py", "")
        file.writestr("somebodys-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
        file.writestr("somebodys-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("somebodys-1.0.dist-info/RECORD", "")
    folder = tmp_path / "packages"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    beside = folder / "rule_of_mine.py"
    beside.touch()
    installed = folder / "somebodys" / "parts" / "rule.py"
    assert is_users_file(str(installed)), "it is on nobody's path yet"
    monkeypatch.syspath_prepend(folder)
    assert not is_users_file(str(installed))
    assert is_users_file(str(beside))


def test_a_checkout_of_a_library_that_ours_is_built_on_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "src" / "diffusers" / "schedulers" / "scheduling.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.syspath_prepend(tmp_path / "src")
    assert not is_users_file(str(module))


def test_sources_are_those_of_the_users_modules_and_of_what_these_import(own_modules: Path) -> None:
    Path("helper_of_mine.py").write_text("import json\n\ndef half(x):\n    return x / 2\n")
    Path("rule_of_mine.py").write_text("from helper_of_mine import half\n\nclass Rule:\n    pass\n")
    sys.path.append(str(Path.cwd()))
    rule = import_module("rule_of_mine").Rule
    sys.path.remove(str(Path.cwd()))
    before = sources(rule, json.JSONDecoder, IdealModel, click.Group)
    assert sorted(before) == ["helper_of_mine", "rule_of_mine"]
    assert all(len(value) == 12 for value in before.values())
    Path("helper_of_mine.py").write_text("def half(x):\n    return x / 3\n")
    after = sources(rule)
    assert after["helper_of_mine"] != before["helper_of_mine"]
    assert after["rule_of_mine"] == before["rule_of_mine"]


def test_a_class_has_the_sources_of_its_bases_in_the_library() -> None:
    found = class_sources(ConfidenceScheduler)
    names = ("confidence", "quota", "utils")
    assert {f"samplers.schedulers.scheduling_{name}" for name in names} <= found.keys()
    assert all(name.startswith("samplers.schedulers.") for name in found)
    assert "samplers.schedulers.scheduling_threshold" not in found


@pytest.mark.parametrize("debug", [("--debug", "run"), ("run", "--debug")], ids=["before", "behind"])
def test_an_error_in_a_scheduler_is_one_line_and_the_traceback_with_debug(
    debug: tuple[str, str], own_modules: Path
) -> None:
    arguments = [*RUN, "--scheduler", "own_rule:Forgetful(k=1)"]
    expected = (
        f"own_rule.py, line {line_of('own_rule', 'forgotten')}: ideal on waiting_line_copy: KeyError: 'forgotten'"
    )
    plain = call(*arguments)
    assert plain.exit_code == 2
    assert plain.stderr == f"Error: {expected} (--debug shows the traceback)\n"
    shown = call(*debug, *arguments[1:])
    assert shown.exit_code == 2
    assert "Traceback" in shown.stderr
    assert shown.stderr.endswith(plain.stderr)
    watched = call("watch", "--task", "waiting_line_copy", "--scheduler", "own_rule:Forgetful(k=1)")
    assert (watched.exit_code, watched.stderr.count("\n")) == (2, 1)
    assert "own_rule.py, line" in watched.stderr


def test_a_memory_of_ones_own_need_not_name_what_the_base_class_counts(own_modules: Path) -> None:
    arguments = ("watch", "--task", "waiting_line_copy", "--delay", "0", "--scheduler")
    own, ours = (call(*arguments, name) for name in ("own_rule:Counting(k=4)", "confidence:k=4"))
    assert own.exit_code == 0, own.output
    assert "32 tokens in 8 forward passes" in own.output
    assert "32 tokens in 8 forward passes" in ours.output


def test_what_a_constructor_refuses_has_its_place(own_modules: Path) -> None:
    result = call(*RUN, "--scheduler", "own_rule:Choosy(low=2,k=1)")
    assert result.exit_code == 2
    assert f"own_rule.py, line {line_of('own_rule', 'at most 1')}: " in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("text", "line"), [("x = 1\nx y\n", 2), ("\n\nmissing\n", 3)], ids=["syntax", "name"])
def test_a_module_that_cannot_be_imported_is_one_line_with_its_place(text: str, line: int, own_modules: Path) -> None:
    write_modules(own_modules, own_rule=text)
    result = call(*RUN, "--scheduler", "own_rule:Forgetful")
    assert result.exit_code == 2
    assert f"own_rule.py, line {line}: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_error_in_a_helper_of_a_named_module_is_placed_in_the_helper(own_modules: Path) -> None:
    write_modules(
        own_modules,
        own_network="def help():\n    return 1 / 0\n",
        own_rule="import own_network\n\nown_network.help()\n",
    )
    result = call(*RUN, "--scheduler", "own_rule:Forgetful")
    assert "own_network.py, line 2: ZeroDivisionError" in result.stderr


def test_errors_of_ours_have_no_place(own_modules: Path) -> None:
    search_here("own_rule:Forgetful")
    with pytest.raises(ValueError, match="Expecting") as failure:
        json.loads("{")
    assert place_of_error(failure.value) is None
    assert "Traceback" not in call(*RUN, "--seed", "x").stderr

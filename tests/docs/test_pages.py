"""Every Python block of the docs runs: those of a page one after the other, in one namespace and an empty directory."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
#: A block that begins so is shown and not run; the rest of the line says why, to the reader as well.
NOT_RUN = "# Not run by the tests: "
#: Pages whose blocks load the dataset and the metric by name, as after `generate_tasks.py install`.
AFTER_INSTALL = ("data_and_metric.md",)


@dataclass(frozen=True)
class Block:
    """One fenced block of Python, and the line of the page on which its code begins."""

    page: Path
    line: int
    code: str

    @property
    def runs(self) -> bool:
        return not self.code.startswith(NOT_RUN)


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(page, text[: match.start(1)].count("\n") + 1, match[1]) for match in found]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


def run(blocks: list[Block]) -> None:
    namespace = {"__name__": "__main__"}
    for block in blocks:
        # Blank lines in front let a traceback name the page's own line.
        source = "\n" * (block.line - 1) + block.code
        exec(compile(source, str(block.page), "exec"), namespace)


RUNNABLE = [page for page in PAGES if name_of(page) not in AFTER_INSTALL and any(b.runs for b in blocks_of(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_blocks_of_the_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A page may write a module and import it, as a script that lies there does.
    monkeypatch.syspath_prepend(tmp_path)
    run([block for block in blocks_of(page) if block.runs])


@pytest.mark.slow
@pytest.mark.parametrize("name", AFTER_INSTALL)
def test_blocks_of_the_page_run_after_the_install(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    environment |= {"HF_EVALUATE_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    install = [sys.executable, "generate_tasks.py", "install"]
    subprocess.run(install, cwd=ROOT, env=environment, check=True, capture_output=True)
    code = "\n".join(block.code for block in blocks_of(ROOT / "docs" / name) if block.runs)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_blocks_that_do_not_run_say_why() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            if not block.runs:
                reason = block.code.splitlines()[0].removeprefix(NOT_RUN)
                assert len(reason.split()) >= 3, f"{name_of(page)}:{block.line} gives no reason"
                compile(block.code, name_of(page), "exec")


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", encoding="utf-8")
    first, second = blocks_of(page)
    assert (first.line, second.line) == (4, 8)
    run([first])
    with pytest.raises(AssertionError) as failure:
        run([first, second])
    assert failure.traceback[-1].lineno == 7  # counted from 0


def test_all_python_on_the_pages_is_fenced_as_such() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for language, code in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
            if language != "python":
                assert language in ("", "console", "text", "yaml", "json", "toml", "bibtex"), name_of(page)
                assert not re.search(r"^(import|from \S+ import) ", code, flags=re.MULTILINE), name_of(page)

"""Test of how the modules of the dataset depend on each other, imports for types and inside functions included."""

import ast
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import hub_dataset

FOLDER = Path(hub_dataset.__file__).resolve().parent


def imported_modules(path: Path) -> set[str]:
    """The modules of the dataset that the file at `path` imports, other than by the name of its whole package."""
    package = ".".join(path.parent.relative_to(FOLDER.parent).parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            found |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_no_modules_import_each_other_in_a_circle():
    files = {
        ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in FOLDER.rglob("*.py")
    }
    graph = {name: (imported_modules(path) & files.keys()) - {name} for name, path in files.items()}
    assert sum(map(len, graph.values())) > len(files)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle

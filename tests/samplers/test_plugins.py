"""Entry points of installed packages: found on any path, and read once."""

from pathlib import Path

import pytest

from samplers import _plugins


def test_what_lies_on_a_path_is_found_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _plugins.plugins("parallelbench.nothing") == ()
    record = tmp_path / "plugin-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[parallelbench.nothing]\nmine = plugin:MINE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (found,) = _plugins.plugins("parallelbench.nothing")
    assert (found.name, found.value) == ("mine", "plugin:MINE")
    assert _plugins.plugins("parallelbench.nothing")[0] is found

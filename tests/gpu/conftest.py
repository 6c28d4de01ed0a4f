"""Prints at the end what the tests on GPUs measured."""

from typing import Any

from gpu_models import FACTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if FACTS:
        terminalreporter.section("measured on the GPU")
        for fact in FACTS:
            terminalreporter.line(fact)

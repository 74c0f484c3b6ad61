"""The check of a GPU, asked of the processor: what it compares, and that it can fail."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.gpu import check, checks

CPU = torch.device("cpu")


def test_layers_are_compared() -> None:
    assert checks.layers(slice(0, None, 60), CPU)["compared"] >= 9


def test_scores_that_differ_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    drift = iter(range(10_000))

    def moved(value: Any, *_: Any) -> Any:
        if isinstance(value, torch.nn.Module):  # each time other weights
            with torch.no_grad():
                for parameter in value.parameters():
                    parameter.add_(0.01 * next(drift))
        return value

    monkeypatch.setattr(checks, "moved", moved)
    with pytest.raises(AssertionError, match="scores differ"):
        checks.layers(slice(0, None, 60), CPU)


def test_a_check_that_refuses_everything_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise TypeError("slip")

    monkeypatch.setattr(checks, "_layer_masks", broken)
    with pytest.raises(AssertionError, match="are refused: TypeError: slip"):
        checks.layers(slice(0, None, 60), CPU)


def test_a_report_begins_with_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_: torch.device) -> dict[str, Any]:
        raise AssertionError("differs by 1")

    def right(_: torch.device) -> dict[str, Any]:
        return {"difference": 0.0}

    monkeypatch.setattr(check, "checks", lambda: iter([("good", right), ("bad", wrong)]))
    found = [check.ask(number, "cpu") for number in (0, 1)]
    assert [each["ok"] for each in found] == [True, False]
    text = check.report(found)
    assert text.startswith("1 hold, 1 fail, 0 were not run")
    assert text.index("FAILS  bad") < text.index("holds  good")


@pytest.mark.parametrize(
    "name", ["random numbers", "snapshot, float64: saliency", "files travel", "memory budget"]
)
def test_the_checks_run(name: str) -> None:
    (asked,) = [each for title, each in checks.checks() if title == name]
    asked(CPU)

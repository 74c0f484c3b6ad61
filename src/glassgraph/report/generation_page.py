"""Generated graphs as one self-contained HTML page, their growth under a slider."""

from __future__ import annotations

from pathlib import Path

from glassgraph.core.model_explanation import ModelExplanation

__all__ = ["write_generation_report"]


def write_generation_report(path: Path, explanation: ModelExplanation) -> Path:
    """Write the page and return its path."""
    raise NotImplementedError

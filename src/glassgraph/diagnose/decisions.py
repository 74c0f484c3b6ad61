"""Decisions, see `glassgraph.results.decisions`, and what a shut message becomes."""

from __future__ import annotations

from typing import Literal

from glassgraph.results.decisions import UNRANKED, Rule, ScoreTable, count, rank

__all__ = ["UNRANKED", "Replacement", "Rule", "ScoreTable", "count", "rank"]

#: What a shut message becomes: the explainer's own baseline (zero where it has none), or zero.
Replacement = Literal["own", "zero"]

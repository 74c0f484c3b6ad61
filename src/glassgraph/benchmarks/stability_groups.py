"""Stability as metrics of a benchmark: what changes, and what is held against what.

Each number stands beside its own chance level, see `glassgraph.diagnose.stability`. Learned methods
are fitted anew for each seed and model, on the same part as the first. Random scores go by the ends
of an edge, so that under added edges they would stay what they are; here they are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glassgraph.benchmarks.cases import Asked, Case, Group
from glassgraph.core.batch import InstanceBatch
from glassgraph.diagnose.stability import stability
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.perturbation.random import Random
from glassgraph.metrics.agreement import MEASURES
from glassgraph.metrics.measured import Better, Measured
from glassgraph.results.explanation import Attribution

#: Seeds that are compared, unless a suite says otherwise.
SEEDS = 3
#: Models that are compared with the explained one.
MODELS = 2
#: Kinds of layers that are tried as other architectures.
KINDS = ("gcn", "gin", "sage")
#: Seeds of further models begin here, so that they are those of no other cell.
FURTHER = 1_000
_ARCHITECTURES = "stability_architectures"


class _Forgetful(Random):
    """Random scores that are others at each call."""

    def attribute(self, batch: InstanceBatch) -> Attribution:
        self.seed += 1
        return super().attribute(batch)


def stability_groups() -> dict[str, Group]:
    """One group for each kind of change."""
    options: dict[str, Mapping[str, type]] = {
        "seeds": {"seeds": int, "top_k": int},
        "edges": {"edges": list, "draws": int, "top_k": int},
        "noise": {"radius": float, "delta": float, "draws": int, "top_k": int},
        "models": {"models": int, "top_k": int},
        "architectures": {"kinds": list, "top_k": int},
    }
    return {
        f"stability_{under}": Group(_metrics(under), _measure(under), options=own)
        for under, own in options.items()
    }


def _metrics(under: str) -> dict[str, Better]:
    return {f"stability_{under}_{name}": better for name, better in MEASURES.items()}


def _measure(under: str) -> Callable[[Case, Asked], list[Measured]]:
    def measure(case: Case, asked: Asked) -> list[Measured]:
        options = dict(asked.options)
        explainer = case.explainer
        others = None
        if under == "seeds":
            number = options.pop("seeds", SEEDS)
            others = [case.make(case.subject.model, case.seed + k) for k in range(1, number)]
            others = others if explainer.traits.is_random or explainer.needs_fit else None
        elif under in ("models", "architectures"):
            models = _others(under, case, options)
            others = [case.make(model, case.seed) for model in models]
        elif isinstance(explainer, Random):
            explainer = _Forgetful(explainer.model, explainer.task, seed=case.seed, progress=False)
        return stability(
            explainer,
            case.subject.data,
            case.subject.index,
            under=under,  # type: ignore[arg-type]
            others=others,
            ranking=case.ranking,
            seed=case.seed,
            **options,
        )

    return measure


def _others(under: str, case: Case, options: dict[str, Any]) -> list[Any]:
    """The other models.

    Raises:
        UnsupportedModelError: if nobody knows how to train any.
    """
    another = case.subject.another_model
    if another is None:
        raise UnsupportedModelError(
            f"stability_{under} needs further models: nobody has said how to train them"
        )
    return [another(seed, kind) for seed, kind in _further(under, options, case.subject.seed)]


def further_models(metrics: Sequence[Asked], seed: int) -> list[tuple[int, str | None]]:
    """Seed and kind of the models that metrics need beside the explained one."""
    wanted = [each for each in metrics if each.group in ("stability_models", _ARCHITECTURES)]
    found = [_further(each.group[10:], dict(each.options), seed) for each in wanted]
    return list(dict.fromkeys(model for models in found for model in models))


def _further(under: str, options: dict[str, Any], seed: int) -> list[tuple[int, str | None]]:
    if under == "models":
        return [(seed + FURTHER + k, None) for k in range(options.pop("models", MODELS))]
    return [(seed, kind) for kind in options.pop("kinds", KINDS)]

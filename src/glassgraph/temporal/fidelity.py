"""How faithful are scores of past events? Leave the first of them out, or keep nothing else.

With f the link's score, c = 1 where the model expects the link, ``f >= threshold``, and -1 where
it does not, and S the k candidates that speak most for its answer,

    without = c (f - f without S)            high: the answer needed them
    only    = c (f - f with S alone)         low: they suffice (negative: the answer is surer)

both in the unit of the link's score, beside the means over random S of k candidates, which is the
chance level. Events that are no candidates stay where they are. No truth is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.errors import ExplanationFileError, HyperParameterError
from glassgraph.progress import progress_bar
from glassgraph.temporal.asking import asking, check_model, check_number
from glassgraph.temporal.events import Link, check_events, links_of
from glassgraph.temporal.methods import UNSIGNED
from glassgraph.temporal.protocol import TemporalModel
from glassgraph.temporal.questions import Question
from glassgraph.temporal.results import EventExplanation
from glassgraph.temporal.tgn import TGN

if TYPE_CHECKING:
    import pandas as pd

#: What is measured.
_MEASURED = ("without", "only", "without_chance", "only_chance")


def fidelity(
    model: TGN | TemporalModel,
    events: TemporalData,
    explanations: Iterable[EventExplanation],
    sizes: Sequence[int] = (1, 3, 5, 10),
    *,
    batch_size: int = 200,
    threshold: float = 0.0,
    draws: int = 20,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """What becomes of a link when the first k past events are left out, and when they are alone?

    The model is left as it is, as in `glassgraph.temporal.explain`. Links with the same candidates
    are asked about once, whatever the number of methods.

    Args:
        model: what was explained.
        events: the stream.
        explanations: of one method or several, as `glassgraph.temporal.explain` returned them.
        sizes: numbers k of events; where there are fewer candidates, all of them.
        batch_size: events in a batch, as in the explanations.
        threshold: the score from which on a link is expected; 0 for logits.
        draws: random sets of k candidates behind a chance level.
        seed: of those.
        progress: show a progress bar.

    Returns:
        A row for each explanation and size: ``position``, ``method``, ``index``, ``size``,
        ``sparsity`` (the share of candidates that are not among the k), ``without``, ``only`` and
        the chance levels ``without_chance`` and ``only_chance``; see
        `glassgraph.temporal.fidelity_table` for means.

    Raises:
        ExplanationFileError: if the explanations are of another stream, model or batch size.
        HyperParameterError: if a number is out of range.
        GlassgraphError: what `glassgraph.temporal.explain` raises.

    Source: the two measures as in Yuan et al., "Explainability in Graph Neural Networks: A
    Taxonomic Survey", 2022, https://arxiv.org/abs/2012.15445; ``only`` over sparsity is how
    T-GNNExplainer is measured.
    """
    import pandas as pd

    events = check_events(events)
    explained = list(explanations)
    for size in sizes:
        check_number("sizes", size)
    for name, value in (("batch_size", batch_size), ("draws", draws)):
        check_number(name, value)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise HyperParameterError(f"threshold must be a number; got {threshold!r}")
    groups = _alike(explained)
    first = [explained[places[0]] for places in groups]
    links = [_link(each, events) for each in first]
    check_model(model, events, links)
    asked = [each.event_id.to(events.src.device) for each in first]
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    with asking(model, events, links, asked, batch_size, "group") as questions:
        bar = progress_bar(
            questions, "fidelity", total=len(links), disable=not progress, delay=1.0, leave=False
        )
        for number, (question, places) in enumerate(zip(bar, groups, strict=True)):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
            _check_prediction(question, explained[places[0]])
            found = _measured(question, explained, places, sizes, threshold, draws, generator)
            rows.update(found)
    names = ["position", "method", "index", "size", "sparsity", *_MEASURED]
    return pd.DataFrame([rows[key] for key in sorted(rows)], columns=names)


def fidelity_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Means of what `fidelity` measured, over links: a row for each method and size.

    ``links`` is their number, ``without_error`` and ``only_error`` the standard errors of the means
    (NaN for one link).

    Example:
        >>> import pandas as pd
        >>> one = {"method": "random", "size": 3, "sparsity": 0.5, "without": 1.0, "only": 0.5}
        >>> chance = {"without_chance": 0.25, "only_chance": 0.5}
        >>> fidelity_table(pd.DataFrame([{**one, **chance}, {**one, **chance, "without": 2.0}]))[
        ...     ["method", "size", "links", "without", "without_error", "without_chance"]
        ... ]
           method  size  links  without  without_error  without_chance
        0  random     3      2      1.5            0.5            0.25
    """
    groups = measured.groupby(["method", "size"], sort=False)
    found = groups[["sparsity", *_MEASURED]].mean()
    found.insert(0, "links", groups.size())
    for name in ("without", "only"):
        found[f"{name}_error"] = groups[name].sem()
    return found.reset_index()


def _alike(explained: Sequence[EventExplanation]) -> list[list[int]]:
    """Places of explanations of the same link with the same candidates."""
    groups: dict[Any, list[int]] = {}
    for place, each in enumerate(explained):
        key = (each.index, each.link, each.time, *each.event_id.tolist())
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _link(explanation: EventExplanation, events: TemporalData) -> Link:
    """The explained link in the stream.

    Raises:
        ExplanationFileError: if it is not there, or a candidate is another event.
    """
    number, name = explanation.event_id, f"the explanation of {explanation.link}"
    if number.numel() and int(number.max()) >= events.src.numel():
        raise ExplanationFileError(
            f"{name} scores event {int(number.max())}; the stream has {events.src.numel()} events"
        )
    for column in ("src", "dst", "t"):
        own = getattr(events, column)[number].cpu()
        if not torch.equal(own, getattr(explanation, column).to(own.dtype)):
            raise ExplanationFileError(
                f"{name} scores other events than those of this stream: {column} differs"
            )
    ends = [torch.tensor([node]) for node in explanation.link]
    asked = TemporalData(*ends, torch.tensor([explanation.time]))
    (link,) = links_of(events, asked.to(events.src.device))
    return Link(explanation.index, link.src, link.dst, link.t, link.num_past)


def _check_prediction(question: Question, explanation: EventExplanation) -> None:
    if abs(question.reference - explanation.prediction) > 1e-4 * (1 + abs(question.reference)):
        raise ExplanationFileError(
            f"the model scores {question.link} with {question.reference:.6g}, the explanation says "
            f"{explanation.prediction:.6g}: it is of another model, stream or batch_size"
        )


def _measured(
    question: Question,
    explained: Sequence[EventExplanation],
    places: Sequence[int],
    sizes: Sequence[int],
    threshold: float,
    draws: int,
    generator: torch.Generator,
) -> dict[tuple[int, int], dict[str, Any]]:
    """Rows by explanation and size, all from one question to the model."""
    sign = 1 if question.reference >= threshold else -1
    count = len(explained[places[0]])
    rankings = [_ranking(explained[place], sign) for place in places]
    rankings += [torch.randperm(count, generator=generator) for _ in range(draws)]
    rank = torch.stack(rankings).argsort(dim=1)
    most = torch.tensor([min(size, count) for size in sizes])
    chosen = rank < most.view(-1, 1, 1)  # [sizes, rankings, candidates]
    # Candidates outside the receptive field cannot count, and are not asked about.
    inside = torch.isin(explained[places[0]].event_id, question.candidates.cpu())
    chosen = chosen[..., inside].to(question.candidates.device)
    asked = torch.stack([chosen, ~chosen])
    scores = question.without(asked.flatten(0, 2)).double().cpu().view(asked.shape[:3])
    lost = sign * (question.reference - scores)
    chance = lost[..., len(places) :].mean(-1)
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for row, place in enumerate(places):
        for column, size in enumerate(sizes):
            rows[place, size] = {
                "position": place,
                "method": explained[place].method,
                "index": explained[place].index,
                "size": size,
                "sparsity": 1 - float(most[column]) / max(count, 1),
                "without": float(lost[0, column, row]),
                "only": float(lost[1, column, row]),
                "without_chance": float(chance[0, column]),
                "only_chance": float(chance[1, column]),
            }
    return rows


def _ranking(explanation: EventExplanation, sign: int) -> Tensor:
    """Candidates by how much they speak for the model's answer, later ones first among equals."""
    score = explanation.score * (1 if explanation.method in UNSIGNED else sign)
    return len(explanation) - 1 - torch.argsort(score.flip(0), descending=True, stable=True)

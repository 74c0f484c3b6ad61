"""The search for few events against all subsets, and against a literal search."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch_geometric.data import TemporalData

import glassgraph as gg
from glassgraph.errors import HyperParameterError, InstanceError, UnsupportedModelError
from glassgraph.temporal.event_tree import EventTree
from tests.temporal.streams import BATCH, NODES, WIDTH, Literal, literal_score, parts, stream

NUMBER = 40
#: Past events of the link that get scores, so few that all of their subsets can be tried.
FEW = [12, 19, 27, 30, 33, 36, 39]


def found(model: object, **settings: object) -> gg.temporal.EventExplanation:
    """Scores of the few."""
    (explanation,) = gg.temporal.explain(
        model, stream(), NUMBER, "t_gnn_explainer", candidates=FEW, batch_size=BATCH,
        progress=False, **settings,
    )  # fmt: skip
    return explanation


def rewards(model: gg.temporal.TGN, size: int) -> dict[frozenset[int], float]:
    """Of every subset of at most so many events, each by a replay of its own."""
    whole = literal_score(model, stream(), NUMBER, set())
    sign = 1 if whole >= 0 else -1
    return {
        frozenset(kept): -math.log1p(
            math.exp(-sign * literal_score(model, stream(), NUMBER, {*FEW} - {*kept}))
        )
        for count in range(1, size + 1)
        for kept in itertools.combinations(FEW, count)
    }


def best(rewarded: dict[frozenset[int], float], most: int) -> frozenset[int]:
    """The first of the highest reward."""
    return max((each for each in rewarded if len(each) <= most), key=rewarded.__getitem__)


@pytest.mark.parametrize(
    "kind", [{}, {"aggregator": "mean"}, {"memory": False, "hops": 2}], ids=["last", "mean", "TGAT"]
)
def test_a_long_search_finds_the_best_of_all_subsets(kind: dict[str, Any]) -> None:
    model, size = parts(**kind), 3
    rewarded = rewards(model, size)
    whole = literal_score(model, stream(), NUMBER, set())
    sign = 1 if whole >= 0 else -1
    of_size = [best(rewarded, most) for most in range(1, size + 1)]
    assert len(of_size[-1]) >= 2
    graded = found(model, size=size, rollouts=200).score.tolist()
    assert graded == pytest.approx(
        [sign * sum(event in each for each in of_size) / size for event in FEW]
    )
    plain = found(model, size=size, rollouts=200, graded=False).score.tolist()
    assert plain == [sign * float(event in of_size[-1]) for event in FEW]


def test_the_model_that_expects_no_link_has_negative_scores() -> None:
    reference = found(parts()).prediction
    for threshold, sign in ((reference - 1, 1), (reference + 1, -1)):
        score = found(parts(), threshold=threshold, size=2, rollouts=30).score
        assert set(score.sign().tolist()) == {0.0, float(sign)}


class LiteralSearch:
    """The paper's search, one walk after the other, on sets of numbers."""

    def __init__(self, order: list[int], size: int, explore: float, reward: object) -> None:
        self.order, self.size, self.explore, self.reward = order, size, explore, reward
        self.children: dict[frozenset[int], list[frozenset[int]]] = {}
        self.visits: dict[frozenset[int], int] = {}
        self.total: dict[frozenset[int], float] = {}
        self.met: dict[frozenset[int], float] = {}

    def walk(self, subset: frozenset[int]) -> float:
        """Down to one event; the value is the best reward on the way."""
        value = -math.inf
        if len(subset) <= self.size:
            self.met[subset] = value = self.reward(subset)
        if len(subset) > 1:
            known = self.children.setdefault(subset, [])
            for event in self.order:
                if event in subset and subset - {event} not in known:
                    known.append(subset - {event})
                    break
            value = max(value, self.walk(max(known, key=self.prospect(known))))
        self.visits[subset] = self.visits.get(subset, 0) + 1
        self.total[subset] = self.total.get(subset, 0.0) + value
        return value

    def prospect(self, known: list[frozenset[int]]) -> object:
        """``W / N + explore * sqrt(sum of N) / (1 + N)``."""
        together = math.sqrt(sum(self.visits.get(each, 0) for each in known))

        def of(each: frozenset[int]) -> float:
            visits = self.visits.get(each, 0)
            mean = self.total[each] / visits if visits else 0.0
            return mean + self.explore * together / (1 + visits)

        return of


@pytest.mark.parametrize("explore", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("rollouts", [1, 2, 17])
def test_subsets_are_met_as_in_a_literal_search(explore: float, rollouts: int) -> None:
    generator = torch.Generator().manual_seed(7)
    order = torch.randperm(9, generator=generator).tolist()
    worth = torch.rand(512, generator=generator).log()

    def events_of(subset: int) -> int:
        return sum(1 << order[place] for place in range(9) if subset >> place & 1)

    def of_bits(subsets: list[int]) -> list[float]:
        return worth[[events_of(each) for each in subsets]].tolist()

    tree = EventTree(9, 4, explore)
    tree.search(rollouts, 1, of_bits)
    literal = LiteralSearch(
        order, 4, explore, lambda subset: float(worth[sum(1 << event for event in subset)])
    )
    for _ in range(rollouts):
        literal.walk(frozenset(range(9)))
    expected = {sum(1 << event for event in each): value for each, value in literal.met.items()}
    assert {events_of(each): value for each, value in tree.rewards.items()} == expected
    assert len(expected) > 3


def test_the_first_walk_leaves_the_least_important_out_first() -> None:
    tree = EventTree(4, 4, 5.0)
    tree.search(1, 1, lambda subsets: [0.0] * len(subsets))
    assert list(tree.rewards) == [0b1111, 0b1110, 0b1100, 0b1000]


def test_walks_at_once_are_spread_by_their_visits() -> None:
    """Three walks that know nothing of each other's rewards go three ways from the root."""
    tree = EventTree(6, 5, 5.0)
    tree.search(3, 3, lambda subsets: [0.0] * len(subsets))
    assert [each for each in tree.rewards if each.bit_count() == 5] == [
        0b111110,
        0b111101,
        0b111011,
    ]


def test_any_model_is_searched_alike() -> None:
    own, replayed = (
        found(each, size=2, rollouts=6, together=3) for each in (parts(), Literal(parts()))
    )
    assert own.score.tolist() == replayed.score.tolist()


def test_another_method_navigates() -> None:
    (other,) = gg.temporal.explain(
        parts(), stream(), NUMBER, "perturb_one", candidates=FEW, batch_size=BATCH, progress=False
    )  # fmt: skip
    sign = 1 if other.prediction >= 0 else -1
    order = sorted(range(len(FEW)), key=(sign * other.score).tolist().__getitem__)
    one = found(parts(), navigator="perturb_one", size=3, rollouts=1, graded=False)
    kept = {place for place, score in enumerate(one.score.tolist()) if score}
    assert kept <= set(order[-3:])


def fitted(**given: object) -> gg.temporal.Navigator:
    """A navigator of two links."""
    return gg.temporal.fit_navigator(
        parts(), stream(), [44, 45], **{"batch_size": BATCH, "progress": False, "epochs": 2} | given
    )


def test_a_navigator_learns_which_gates_may_shut() -> None:
    """Without a penalty, the loss on its own links falls; with a large one all gates shut."""
    model, events = parts(), stream()
    before = torch.get_rng_state()
    held = gg.temporal.explain(model, events, 40, batch_size=BATCH, progress=False)[0].prediction
    start, free, shut = (
        fitted(epochs=epochs, penalty=penalty, learning_rate=0.03)
        for epochs, penalty in ((1, 0.0), (8, 0.0), (8, 100.0))
    )
    assert torch.equal(torch.get_rng_state(), before)
    again = gg.temporal.explain(model, events, 40, batch_size=BATCH, progress=False)[0].prediction
    assert again == held
    assert free.fitted_on == {44, 45}
    assert not any(each.requires_grad for each in free.parameters())
    link = gg.temporal.events.links_of(events, [45])[0]
    past = torch.arange(20, 45)
    opened = [float(each(events, past, link).sigmoid().mean()) for each in (start, free, shut)]
    assert opened[2] < 0.1 < opened[0]
    assert opened[1] > opened[2]


def test_the_same_seed_gives_the_same_navigator() -> None:
    one, same, other = (fitted(seed=seed).embedding.weight for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_what_navigators_cannot_do_is_named() -> None:
    navigator = fitted()
    assert len(found(parts(), navigator=navigator, rollouts=2)) == len(FEW)
    with pytest.raises(InstanceError, match="fitted on event 45"):
        gg.temporal.explain(
            parts(), stream(), 45, "t_gnn_explainer", candidates=5, batch_size=BATCH,
            progress=False, navigator=navigator,
        )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="gates on events, which Literal has not"):
        gg.temporal.fit_navigator(Literal(parts()), stream(), [40])
    with pytest.raises(HyperParameterError, match="learning_rate must be > 0"):
        fitted(learning_rate=0.0)
    with pytest.raises(HyperParameterError, match="epochs must be an integer >= 1"):
        fitted(epochs=0)
    small = gg.temporal.Navigator(NODES - 3, WIDTH)
    with pytest.raises(HyperParameterError, match=r"a stream of 10 nodes .* node 12"):
        found(parts(), navigator=small)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 0}, "size must be an integer >= 1"),
        ({"rollouts": 2.5}, "rollouts must be an integer >= 1"),
        ({"together": 0}, "together must be an integer >= 1"),
        ({"explore": -1.0}, "explore must be >= 0"),
        ({"threshold": math.nan}, "threshold must be a finite number"),
        ({"graded": "yes"}, "graded must be True or False"),
        ({"navigator": "t_gnn_explainer"}, "navigator must be .* one of perturb_one"),
        ({"steps": 3}, "t_gnn_explainer has no setting 'steps'; it has navigator, size"),
    ],
)
def test_settings_out_of_range_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(HyperParameterError, match=message):
        found(parts(), **given)


class Alone:
    """Expects a link where the one event 27 was seen."""

    def reset(self) -> None:
        self.times: list[int] = []

    def replay(self, events: TemporalData) -> None:
        self.times += events.t.tolist()

    def score(self, _: torch.Tensor, __: torch.Tensor, ___: torch.Tensor) -> torch.Tensor:
        return torch.tensor([3.0 if int(stream().t[27]) in self.times else -3.0])


def test_the_one_event_that_counts_is_the_explanation() -> None:
    score = found(Alone(), size=3, rollouts=60).score.tolist()
    assert score == [1.0 if event == 27 else 0.0 for event in FEW]

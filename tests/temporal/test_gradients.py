"""Gates on events, and gradients of messages, against finite differences and removals."""

from __future__ import annotations

import pytest
import torch

import glassgraph as gg
from glassgraph.temporal.events import links_of
from glassgraph.temporal.questions import TGNQuestion
from glassgraph.temporal.stream import Stream
from glassgraph.temporal.tgn_questions import ask_tgn
from tests.temporal.streams import BATCH, NODES, Literal, parts, stream

NUMBER = 40


def question(kind: str, batch_size: int = BATCH) -> TGNQuestion:
    """About one link, with all candidates."""
    model, events = (parts(memory=False) if kind == "no memory" else parts(kind)), stream()
    (asked,) = ask_tgn(model, events, links_of(events, [NUMBER]), [None], batch_size, None)
    assert isinstance(asked, TGNQuestion)
    return asked


@pytest.mark.parametrize("kind", ["last", "mean", "no memory"])
def test_edge_gradients_are_differences_of_gates(kind: str) -> None:
    asked, step = question(kind), 1e-6
    found = gg.temporal.explain(
        parts(memory=False) if kind == "no memory" else parts(kind),
        stream(), NUMBER, "edge_gradients", batch_size=BATCH, progress=False,
    )[0]  # fmt: skip
    size = asked.num_candidates
    moved = step * torch.eye(size, dtype=torch.double)
    with torch.no_grad():
        slope = (asked.gated(1 + moved) - asked.gated(1 - moved)) / (2 * step)
    torch.testing.assert_close(found.score.double(), slope, atol=1e-6, rtol=1e-5)
    assert float(slope.abs().max()) > 1e-3


@pytest.mark.parametrize("kind", ["last", "mean", "no memory"])
def test_open_gates_change_nothing(kind: str) -> None:
    asked = question(kind)
    ones = torch.ones(3, asked.num_candidates, dtype=torch.double)
    assert asked.gated(ones).tolist() == pytest.approx([asked.reference] * 3, abs=1e-12)


@pytest.mark.parametrize(("kind", "seen"), [("last", 9), ("mean", 0)])
def test_shut_gates_leave_the_memory_alone_and_open_ones_change_nothing(
    kind: str, seen: int
) -> None:
    events, model = stream(), parts(kind)
    memories = []
    for gate in (0.0, 1.0, None):
        gates = None if gate is None else torch.full((5,), gate, dtype=torch.double)
        each = Stream(model.parts, NODES, model.device, gated=gate is not None)
        assert each.memory is not None
        for part, its in ((slice(0, seen), None), (slice(seen, seen + 5), gates)):
            before = each.memory.memory.clone()
            with torch.no_grad():
                each.see(events.src[part], events.dst[part], events.t[part], events.msg[part], its)
        memories.append((before, each.memory.memory))
    (before, shut), (_, open_), (_, plain) = memories
    assert torch.equal(shut, before)
    torch.testing.assert_close(open_, plain, atol=1e-14, rtol=0)
    assert not torch.equal(plain, shut)


@pytest.mark.slow("one gradient: test_edge_gradients_are_differences_of_gates")
def test_integrated_gradients_sum_to_what_all_gates_change() -> None:
    asked = question("last")
    with torch.no_grad():
        both = asked.gated(
            torch.stack(
                [torch.zeros(asked.num_candidates), torch.ones(asked.num_candidates)]
            ).double()
        )
    found = gg.temporal.explain(
        parts(), stream(), NUMBER, "integrated_gradients", steps=1000, batch_size=BATCH,
        progress=False,
    )[0]  # fmt: skip
    assert float(found.score.sum()) == pytest.approx(float(both[1] - both[0]), abs=5e-5)


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient"])
def test_gradients_of_messages_are_those_of_a_plain_replay(method: str) -> None:
    events = stream()
    own, plain = (
        gg.temporal.explain(
            model, events, NUMBER, method, candidates=25, batch_size=BATCH, progress=False
        )[0].to_frame().set_index("event_id")["score"]
        for model in (parts(), Literal(parts()))
    )  # fmt: skip
    shared = own.index.intersection(plain.index)
    assert len(shared) > 10
    torch.testing.assert_close(
        torch.tensor(own[shared].to_numpy()), torch.tensor(plain[shared].to_numpy())
    )
    literal = Literal(parts())
    messages = events.msg.clone().requires_grad_()
    for first in range(0, NUMBER, BATCH):
        part = slice(first, min(first + BATCH, NUMBER))
        batch = events[part]
        batch.msg = messages[part]
        literal.replay(batch)
    one = events[torch.tensor([NUMBER])]
    (gradient,) = torch.autograd.grad(literal.score(one.src, one.dst, one.t), messages)
    by_hand = gradient.square() if method == "saliency" else gradient * events.msg
    expected = by_hand.sum(-1)[torch.tensor(own.index.to_numpy())]
    torch.testing.assert_close(
        torch.tensor(own.to_numpy()).double(), expected, atol=1e-6, rtol=1e-5
    )

"""Laws about randomness: it comes from the seed, and from nowhere else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from glassgraph.testing.cases import AnyCase
from glassgraph.testing.compare import differ, expect, expect_same_bits
from glassgraph.testing.law import law
from glassgraph.testing.subject import Subject, masks


@law(
    catches="an explainer that reads or moves the global random generators",
    usually="torch.rand, numpy.random or a global seed inside; draw from a generator made of "
    "self.seed, or by address with the batch",
)
def global_random_state(subject: Subject, case: AnyCase) -> None:
    """The global generators are neither moved nor read."""
    expected = masks(subject.first(case))
    with _other_random_state():
        before = random_state()
        found = masks(subject.explain(subject.build(case.model(), case), case))
        after = random_state()
    for name, one, other in zip(("torch", "numpy", "random"), before, after, strict=True):
        expect(one == other, f"the global generator of {name} was moved")
    for position, (got, own) in enumerate(zip(found, expected, strict=True)):
        expect_same_bits(got, own, f"with other global generators, instance {position}")


@contextmanager
def _other_random_state() -> Iterator[None]:
    """Global generators in another state, and back."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        np.random.random()
        random.random()
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def random_state() -> tuple[list[int], Any, Any]:
    """The states of the global generators of torch, numpy and Python."""
    name, keys, *rest = np.random.get_state()
    assert not isinstance(keys, (int, str))
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


@law(
    catches="a seed that is ignored, and randomness that traits.is_random does not tell",
    usually="the seed is not passed on, or traits.is_random is wrong",
)
def seed_decides(subject: Subject, case: AnyCase) -> None:
    """Same seed, same bits; another seed, other scores if and only if the method is random."""
    one = masks(subject.first(case))
    same, other = (
        masks(subject.explain(subject.build(case.model(), case, seed=seed), case))
        for seed in (0, 6)
    )
    for position, (first, second) in enumerate(zip(one, same, strict=True)):
        expect_same_bits(second, first, f"seed 0 once more, instance {position}")
    if subject.has_nothing_to_say(one + other):
        return
    is_different = any(differ(first, second) for first, second in zip(one, other, strict=True))
    told = subject.traits.is_random
    expect(
        is_different == told,
        f"another seed gives {'other' if is_different else 'the same'} scores, and "
        f"traits.is_random is {told}",
    )

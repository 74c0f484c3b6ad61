"""Hard concrete gates: the closed forms against many samples."""

import pytest
import torch

from glassgraph.learn import hard_concrete


@pytest.mark.parametrize("location", [-3.0, -0.6, 0.0, 0.4, 2.0])
def test_probabilities_are_those_of_samples(location: float) -> None:
    generator = torch.Generator().manual_seed(2)
    noise = torch.rand(200_000, generator=generator, dtype=torch.double)
    at = torch.full_like(noise, location)
    gates = hard_concrete.sample(at, noise)
    assert gates.min() >= 0
    assert gates.max() <= 1
    spread = 5 * (0.25 / noise.numel()) ** 0.5
    opened = float((gates > 0.5).double().mean())
    assert opened == pytest.approx(float(hard_concrete.probability_open(at[:1])), abs=spread)
    nonzero = float((gates != 0).double().mean())
    assert nonzero == pytest.approx(float(hard_concrete.expected_l0(at[:1])), abs=spread)
    full = float((gates == 1).double().mean())
    assert full == pytest.approx(1 - float(hard_concrete.expected_l0(-at[:1])), abs=spread)


def test_the_hard_decision_is_the_median() -> None:
    location = torch.tensor([-0.2, 0.0, 0.2], dtype=torch.double)
    half = torch.full_like(location, 0.5)
    assert hard_concrete.hard(location).tolist() == [0.0, 0.0, 1.0]
    assert ((hard_concrete.sample(location, half) > 0.5) == (location > 0)).all()
    noise = torch.tensor([0.99, 0.01, 0.7], dtype=torch.double)
    silent = hard_concrete.sample(location, noise, scale=0.0)
    assert torch.equal(silent, hard_concrete.sample(location, half))

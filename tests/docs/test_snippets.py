"""Every block of Python in the documentation runs as it stands, pasted alone."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

import glassgraph as gg
from glassgraph import models
from glassgraph.models import reference
from tests.docs.pages import Block, all_blocks, blocks_of

BLOCKS = all_blocks("python")
#: What blocks of the README leave behind, by words that stand in them.
LEFT_BEHIND = {
    'to_html("report.html")': "report.html",
    "graphmask.save(": "graphmask.safetensors",
    "generated.to_html": "generated.html",
}


#: Methods that learn, with as many steps as show that a block runs.
FEW_STEPS = {"GraphMask": {"steps": 100}, "GNNExplainer": {"epochs": 20}}


@functools.cache
def _trained(name: str, seed: int) -> Any:
    """Reference models of a few epochs, each trained once for all blocks."""
    dataset = gg.datasets.load_dataset(name, seed=seed)
    return reference.reference_model(dataset, seed, progress=False, epochs=20)


def quickly_trained(dataset: Any, seed: int = 0, **_: Any) -> Any:
    return _trained(dataset.name, seed)


def run(block: Block) -> dict[str, Any]:
    """Run a block as a reader who pastes it: nothing before it, nothing else in the folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("\n" * block.line + block.code, block.page, "exec", dont_inherit=True), names)
    return names


@pytest.mark.filterwarnings("ignore")  # what 20 epochs learned makes methods warn, rightly
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block,
            marks=() if block.page == "README.md" else pytest.mark.slow("those of README.md"),
        )
        for block in BLOCKS
        if not block.reason
    ],
    ids=lambda block: block.place,
)
def test_a_block_runs_alone(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "reference_model", quickly_trained)
    monkeypatch.setattr(reference, "ATTEMPTS", 1)
    for name, few in FEW_STEPS.items():
        monkeypatch.setattr(gg, name, functools.partial(getattr(gg, name), **few))
    run(block)
    for words, file in LEFT_BEHIND.items():
        assert words not in block.code or (tmp_path / file).exists()
    if 'explanations.save("explained")' in block.code:
        assert len(gg.Explanations.load(tmp_path / "explained")) == 5
        assert "fidelity_plus" in capsys.readouterr().out


def test_few_blocks_are_not_run() -> None:
    left_out = [block for block in BLOCKS if block.reason]
    assert len(BLOCKS) >= 30
    assert len(left_out) <= 5, [block.place for block in left_out]


def test_the_first_minute_works_on_its_example() -> None:
    """The README's first method finds what was planted, as its comments say."""
    dataset = gg.datasets.load_dataset("ba-shapes")
    model = reference.reference_model(dataset, progress=False, epochs=150).model
    data, nodes = dataset.graphs[0], dataset.explained[:5]
    found = gg.Saliency(model, task="node", progress=False).explain(data, index=nodes)
    assert gg.metrics.ground_truth_accuracy(found).auc > 0.9
    (means,) = gg.metrics.fidelity(found, model, data, sparsity=0.7).means()
    assert means["fidelity_plus"] > 0.9
    assert abs(means["fidelity_minus"]) < 0.1


def test_a_block_that_needs_the_one_before_it_is_found() -> None:
    text = "```python\nx = 1\n```\n\n```python\ny = x\n```\n"
    first, second = blocks_of(text, "page.md", "python")
    assert run(first)["x"] == 1
    with pytest.raises(NameError):
        run(second)


def test_a_marked_block_tells_its_reason() -> None:
    text = "<!-- not run: costs a day -->\n```python\n1 / 0\n```\n"
    (block,) = blocks_of(text, "page.md", "python")
    assert block.reason == "costs a day"


def test_blocks_leave_no_global_seed_behind() -> None:
    """Blocks may seed torch for themselves; the tests' own seed comes back with each test."""
    assert torch.initial_seed() == 0

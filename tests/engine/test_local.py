"""Real processes: what they explain, and what they survive."""

from __future__ import annotations

import pytest
import torch

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.errors import HyperParameterError, InstanceError, ResumeError
from tests.engine.killed_driver import kill_and_resume
from tests.engine.models import DIES, EATS, HANGS, NODES, RAISES, Poisoned, loops, model


def equal(ours: gg.LocalExplanation, theirs: gg.LocalExplanation) -> bool:
    names = ("edge_id", "edge_score", "layer_edge_score", "node_id", "prediction")
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in names]
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


def test_explanations_are_those_of_one_process(tmp_path):
    data, network = loops(NODES), model()
    store = GraphStore.build(data, tmp_path / "graph")
    index = torch.tensor([20, 3, 11, 4, 7])
    found = gg.explain_all(
        network,
        store,
        "edge_gradients",
        index=index,
        out=tmp_path / "job",
        workers=1,
        block=3,
        progress=False,
    )
    assert len(found) == 5
    explainer = gg.EdgeGradients(network, progress=False)
    for chosen in (index[:3], index[3:]):
        alone = explainer.explain(data, chosen)
        for place, node in enumerate(chosen.tolist()):
            assert equal(found.find(node), alone.local(place))
    some = found.sample(3, seed=1)
    assert isinstance(some, gg.Explanations)
    assert some.graph is not None
    assert [each.index for each in some] == [each.local.index for each in some]
    with pytest.raises(InstanceError, match="none of the 5"):
        found.find(5)


@pytest.mark.slow(
    "answers to deaths: test_driver.py; processes that die: test_hubs.py, test_crashes.py"
)
def test_poison_is_recorded_and_the_rest_goes_on(tmp_path):
    found = gg.explain_all(
        model(),
        loops(NODES),
        Poisoned,
        out=tmp_path,
        workers=2,
        block=2,
        time_limit=5.0,
        worker_memory=1 << 30,
        progress=False,
    )
    told = found.failures().set_index("index")["error"].to_dict()
    assert sorted(told) == [RAISES, EATS, DIES, HANGS]
    assert "of this node" in told[RAISES]
    assert "memory" in told[EATS]
    assert "killed by signal 9" in told[DIES]
    assert "time limit of 5 s" in told[HANGS]
    assert len(found) == NODES - 4
    with pytest.raises(InstanceError, match="failed: its process was killed"):
        found.find(DIES)


@pytest.mark.filterwarnings("ignore:.*its lock is taken over:UserWarning")
@pytest.mark.slow("kills at every place, within one process: test_crashes.py")
def test_a_killed_driver_loses_nothing_that_was_finished(tmp_path):
    found = kill_and_resume(tmp_path, "local")
    assert found.failures()["index"].tolist() == [RAISES]
    positions = sorted(found.dataset.to_table(columns=["position"])["position"].to_pylist())
    assert positions == list(range(NODES))


@pytest.mark.slow("the same of a model's file: test_model_file.py")
def test_other_weights_are_refused(tmp_path):
    asked = {"out": tmp_path, "workers": 1, "progress": False, "index": [1]}
    gg.explain_all(model(), loops(NODES), "edge_gradients", **asked)
    other = model()
    with torch.no_grad():
        other.convs[0].bias += 1
    with pytest.raises(ResumeError, match="model_fingerprint"):
        gg.explain_all(other, loops(NODES), "edge_gradients", **asked)


@pytest.mark.slow("classes that a worker can import: test_explanations_are_those_of_one_process")
def test_a_class_that_no_worker_can_import_is_sent_as_code(tmp_path):
    class Local(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model()

        def forward(self, x, edge_index):
            return self.net(x, edge_index)

    network = Local().eval()
    found = gg.explain_all(
        network, loops(NODES), "saliency", index=[4], out=tmp_path, workers=1, progress=False
    )
    alone = gg.Saliency(network, progress=False).explain(loops(NODES), [4])
    assert equal(found.find(4), alone.local(0))


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"block": 0}, {"time_limit": -1.0}, {"worker_memory": 0}]
)
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(HyperParameterError, match=next(iter(wrong))):
        gg.explain_all(model(), loops(NODES), "random", out=tmp_path, **wrong)

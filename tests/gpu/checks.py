"""What has to hold on a device: each check returns what it measured, or raises.

Scores on the device are those of the processor, in double precision to `DOUBLE`. In single
precision both round, and methods that learn go on from what was rounded: `SINGLE` bounds the
methods that take one pass.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.core import random
from glassgraph.errors import GlassgraphError
from glassgraph.explainers.registry import METHODS as CLASSES
from glassgraph.metrics import fidelity, rdt_fidelity
from glassgraph.testing import check_explainer
from glassgraph.testing.cases import Case
from tests.coverage.models import CLASSES as NUM_CLASSES
from tests.coverage.set_ups import SET_UPS
from tests.gpu.moved import moved, recorded
from tests.snapshot.compare import differences
from tests.snapshot.settings import NAMES

CPU = torch.device("cpu")
DOUBLE, SINGLE = 1e-9, 1e-3
#: Methods without a learning loop or a search, whose scores follow their inputs.
ONE_PASS = (
    "random",
    "attention",
    "saliency",
    "guided_backprop",
    "edge_gradients",
    "positive_gradients",
    "integrated_gradients",
    "cam",
    "grad_cam",
    "occlusion",
    "lrp",
    "gnn_lrp",
)
#: Layers are asked of methods of three kinds: a pass, a pass for each edge, and a learning loop.
LAYER_METHODS: dict[str, dict[str, Any]] = {
    "edge_gradients": {},
    "occlusion": {},
    "gnn_explainer": {"epochs": 3},
}

Check = Callable[[torch.device], dict[str, Any]]


def checks() -> Iterator[tuple[str, Check]]:
    """All checks by name, the most telling first."""
    yield "random numbers", random_numbers
    for name in NAMES:
        yield f"snapshot, float64: {name}", functools.partial(snapshot_double, name)
    yield "files travel", files_travel
    yield "a model on the device, data on the processor", apart
    yield "memory budget", memory_budget
    yield "metrics and diagnoses", metrics
    for name in ONE_PASS:
        yield f"snapshot, float32: {name}", functools.partial(snapshot_single, name)
    groups = 8
    for number in range(groups):
        yield (
            f"layers, part {number + 1} of {groups}",
            functools.partial(layers, slice(number, None, groups)),
        )
    for name in ("gnn_explainer", "pg_explainer", "graphmask"):
        yield f"waits for the device: {name}", functools.partial(waits, name)
    for name in CLASSES:
        yield f"laws: {name}", functools.partial(laws, name)


def random_numbers(device: torch.device) -> dict[str, Any]:
    """Counter-based numbers are the same bits everywhere."""
    key = torch.arange(100_000)
    here, there = (random.hash64(7, each, 3, each * 5) for each in (key, key.to(device)))
    assert torch.equal(here, there.cpu()), "hash64 differs"
    one, other = (random.uniform(7, each) for each in (key, key.to(device)))
    assert torch.equal(one, other.cpu()), "uniform differs"
    off = (random.normal(7, key) - random.normal(7, key.to(device)).cpu()).abs().max()
    assert off < 1e-12, f"normal differs by {off}"
    return {"difference": float(off)}


def snapshot_double(name: str, device: torch.device) -> dict[str, Any]:
    """All cases of the snapshot in float64."""
    here, there = recorded(name, CPU), recorded(name, device)
    lines = differences(name, here, there, DOUBLE)
    assert not lines, "\n".join(lines[:4])
    return {"difference": _largest(here, there)}


def snapshot_single(name: str, device: torch.device) -> dict[str, Any]:
    """All cases of the snapshot in float32: the scores."""
    here, there = (recorded(name, each, torch.float32) for each in (CPU, device))
    masks = {path for path in here if path.rpartition("/")[2].endswith("mask")}
    one, other = ({p: v for p, v in each.items() if p in masks} for each in (here, there))
    lines = differences(name, one, other, SINGLE)
    assert not lines, "\n".join(lines[:4])
    return {"difference": _largest(one, other)}


def _largest(here: dict[str, Any], there: dict[str, Any]) -> float:
    found = [0.0]
    for path, value in here.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
            off = (value - there[path]).abs() / value.abs().clamp_min(1)
            found.append(float(off.nan_to_num(0).max()))
    return max(found)


def laws(name: str, device: torch.device) -> dict[str, Any]:
    """The laws of a user's own model that hold on the processor hold on the device."""
    here, there = (_laws(name, each) for each in (CPU, device))
    broken = [f"{law}: {said}" for law, said in there.items() if said and not here[law]]
    assert not broken, "\n".join(each[:500] for each in broken[:4])
    return {"laws": sum(not said for said in here.values())}


def _laws(name: str, device: torch.device) -> dict[str, str]:
    found = {}
    for level in ("node", "graph", "edge"):
        case = Case("gat", level)
        model, data = moved(case.model(), device), moved(case.data(), device)
        given = CLASSES[name], model, data, case.task(), case.index, case.target
        table = check_explainer(*given, on_failure="collect")
        found |= {f"{row.law} at {level}": row.message for row in table.itertuples()}
    return found


def layers(part: slice, device: torch.device) -> dict[str, Any]:
    """Layers of the coverage matrix: the same scores on both."""
    failed, largest, number, refused = [], 0.0, 0, []
    for set_up in SET_UPS[part]:
        for method, settings in LAYER_METHODS.items():
            found = []
            for where in (CPU, device):
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found.append(_layer_masks(set_up, method, settings, where))
                except GlassgraphError as error:
                    found.append(type(error).__name__)
                except Exception as error:  # noqa: BLE001 - the list goes on
                    found.append(f"{type(error).__name__}: {error}"[:300])
            here, there = found
            number += 1
            if isinstance(here, str) or isinstance(there, str):
                words = [each if isinstance(each, str) else "scores" for each in found]
                refused.append(words[0])
                if words[0] != words[1]:
                    failed.append(f"{set_up.name}, {method}: {words[0]} there, here {words[1]}")
                continue
            off = float((here - there).abs().max())
            largest = max(largest, off)
            if off > 1e-8:
                failed.append(f"{set_up.name}, {method}: scores differ by {off:.2g}")
    assert not failed, f"{len(failed)} of {number}:\n" + "\n".join(failed[:12])
    assert len(refused) < number / 4, f"{len(refused)} of {number} are refused: {refused[0]}"
    return {"difference": largest, "compared": number - len(refused)}


def _layer_masks(
    set_up: Any, method: str, settings: dict[str, Any], device: torch.device
) -> Tensor:
    model, data = moved(set_up.make_model(), device), moved(set_up.make_data(), device)
    index = [0, 1] if set_up.level == "graph" else [3, 12]
    explainer = CLASSES[method](model, set_up.level, progress=False, **settings)
    found = explainer.explain(data, index)
    return torch.cat([found.local(i).edge_score for i in range(len(found))]).double().cpu()


def files_travel(device: torch.device) -> dict[str, Any]:
    """What was fitted on the device explains on the processor, and the other way round."""
    case = Case("gin", "node")
    with tempfile.TemporaryDirectory() as folder:
        for learned in (gg.GraphMask, gg.PGExplainer, gg.InformationBottleneck):
            settings = dict(learned.test_settings)
            masks = []
            path = Path(folder) / f"{learned.name}.safetensors"
            for number, where in enumerate((device, CPU, device)):
                model, data = moved(case.model(), where), moved(case.data(), where)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    if number == 0:
                        explainer = learned(model, "node", progress=False, **settings)
                        explainer.fit(data, index=list(range(20)))
                        explainer.save(path)
                    else:
                        explainer = learned.load(path, model, progress=False)
                    found = explainer.explain(data, index=case.index)
                if number == 0:
                    found.save(Path(folder) / f"{learned.name}-explanations")
                    found = gg.Explanations.load(Path(folder) / f"{learned.name}-explanations")
                masks.append(torch.stack([each.edge_mask for each in found]))
            for number, where in ((1, "here"), (2, "there")):
                off = float((masks[0].cpu() - masks[number].cpu()).abs().max())
                assert off < DOUBLE, f"{learned.name}: loaded {where}, scores differ by {off}"
    return {}


def apart(device: torch.device) -> dict[str, Any]:
    """A model and data on two devices: explained, or a named error."""
    case = Case("gin", "node")
    for model, data in (
        (moved(case.model(), device), case.data()),
        (case.model(), moved(case.data(), device)),
    ):
        try:
            gg.Saliency(model, "node", progress=False).explain(data, [4])
        except GlassgraphError as error:
            said = str(error)
            assert device.type == "cpu" or "device" in said or "cuda" in said, said
    return {}


class _Wide(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gcn = GCN(16, width, 3, NUM_CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out: Tensor = self.gcn(x, edge_index)
        return out


def random_graph(num_nodes: int, num_edges: int, width: int, seed: int = 0) -> Data:
    """Uniform ends."""
    draw = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(num_nodes, width, generator=draw),
        edge_index=torch.randint(num_nodes, (2, num_edges), generator=draw),
    )


def memory_budget(device: torch.device) -> dict[str, Any]:
    """What explaining takes beside model and data is about what was allowed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = moved(_Wide(64), device)
    data = moved(random_graph(20_000, 100_000, 16), device)
    index, found = list(range(400)), {}
    for name in ("saliency", "occlusion", "gnn_explainer"):
        for budget in (1 << 26, 1 << 29):
            settings = {"epochs": 3} if name == "gnn_explainer" else {}
            explainer = CLASSES[name](
                model, "node", progress=False, memory_budget=budget, **settings
            )
            if device.type != "cuda":
                explainer.explain(data, index[:8])
                continue
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            explainer.explain(data, index)
            found[f"{name}, {budget >> 20} MB"] = (
                torch.cuda.max_memory_allocated() - before
            ) / 2**20
    slips = [
        f"{name} took {took:.0f} MB"
        for name, took in found.items()
        if took > 2 * int(name.split(", ")[1].split()[0]) + 64
    ]
    assert not slips, f"{slips} of {found}"
    return {name: round(value, 1) for name, value in found.items()}


def metrics(device: torch.device) -> dict[str, Any]:
    """Metrics, predictions under masks and diagnoses of a model on the device."""
    case = Case("gin", "node")
    values = []
    for where in (CPU, device):
        model, data = moved(case.model(), where), moved(case.data(), where)
        explainer = gg.EdgeGradients(model, "node", progress=False)
        found = explainer.explain(data, case.index)
        numbers = []
        for removal in ("shut", "delete"):
            measured = fidelity(found, model, data, removal=removal)
            numbers += [measured.plus_prob, measured.minus_prob]
        numbers.append(
            rdt_fidelity(
                gg.Zorro(model, "node", progress=False, samples=7).explain(data, case.index),
                model,
                data,
            ).fidelity.view(1, -1)
        )
        kept = (
            explainer.predict(data, found, keep=gg.messages.KEPT.share(0.5))
            if found.threshold is not None
            else None
        )
        if kept is not None:
            numbers.append(kept.outputs.cpu())
        values.append(torch.cat([each.double().cpu().flatten() for each in numbers]))
    off = float((values[0] - values[1]).abs().max())
    assert off < DOUBLE, f"numbers differ by {off}"
    return {"difference": off}


def waits(name: str, device: torch.device) -> dict[str, Any]:
    """How often a learning loop waits for the device, for each of its steps."""
    if device.type != "cuda":
        return {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = moved(_Wide(32), device)
    data = moved(random_graph(5_000, 25_000, 16), device)
    word = "steps" if name == "graphmask" else "epochs"
    counts = []
    for length in (10, 40):
        explainer = CLASSES[name](model, "node", progress=False, **{word: length})
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                if explainer.traits.is_amortized:
                    explainer.fit(data, index=list(range(200)))
                else:
                    explainer.explain(data, list(range(200)))
            finally:
                torch.cuda.set_sync_debug_mode("default")
        syncs = [each for each in told if "synchroniz" in str(each.message)]
        places: dict[str, int] = {}
        for each in syncs:
            place = f"{Path(each.filename).name}:{each.lineno}"
            places[place] = places.get(place, 0) + 1
        counts.append((len(syncs), places))
    per_step = (counts[1][0] - counts[0][0]) / 30
    often = sorted(counts[1][1].items(), key=lambda each: -each[1])[:8]
    return {"waits_per_step": round(per_step, 2), "often": dict(often)}

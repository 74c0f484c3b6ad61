"""``make wheel-check``: the wheel with all its extras in an environment that has nothing else.

Builds the wheel, installs ``FILE.whl[all]`` with the versions of constraints.txt, and has the
installed command explain a molecule, in a folder that knows nothing of the sources.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Paracetamol; the model is untrained, as what counts is that everything runs.
TABLE = "smiles\nCC(=O)Nc1ccc(O)cc1\n"
MODEL = """
import torch
from torch_geometric.nn import GCN, global_mean_pool


class Net(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.conv, self.out = GCN(features, 16, 2), torch.nn.Linear(16, 2)

    def forward(self, x, edge_index, batch):
        return self.out(global_mean_pool(self.conv(x.float(), edge_index), batch))


def make():
    from glassgraph.datasets import from_smiles

    torch.manual_seed(0)
    return Net(from_smiles("C").num_features)
"""


def main() -> None:
    """Build, install, explain, and look at what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        run(folder, sys.executable, "-m", "pip", *words, "--wheel-dir", folder / "dist", ROOT)
        (wheel,) = (folder / "dist").glob("glassgraph-*.whl")
        venv.create(folder / "clean", with_pip=True)
        python = folder / "clean" / "bin" / "python"
        install = ["install", "--quiet", "--no-cache-dir", "-c", asked.constraints]
        run(folder, python, "-m", "pip", *install, f"{wheel}[all]")
        explain(folder, python.with_name("glassgraph"))
    print(f"{wheel.name}[all]: installed alone, explained a molecule, wrote its report")


def explain(folder: Path, command: Path) -> None:
    """Explain the molecule, and read its report."""
    (folder / "molecules.csv").write_text(TABLE, encoding="utf-8")
    (folder / "net.py").write_text(MODEL, encoding="utf-8")
    words = ["--smiles", "molecules.csv", "--model", "net.py:make", "--method", "occlusion"]
    run(folder, command, "explain", *words, "--out", "out", "--quiet")
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    for told in ('"atoms":[[', '"double"', '"aromatic"'):
        assert told in page, f"the report has no {told}"


def run(folder: Path, *words: object) -> None:
    """Run a program that does not see the sources."""
    hidden = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(word) for word in words], cwd=folder, env=hidden, check=True)


if __name__ == "__main__":
    main()

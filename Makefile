# Every command sets up what it needs: `make test` and `make demo` work in a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDEST := .venv-oldest
PIP_INSTALL := $(BIN)/python -m pip install -c constraints.txt

OUT ?= out
MUTAG_ROOT ?= ../shared/data/mutag_tud
BENZENE_ROOT ?= ../shared/data/graph_attribution_molecules/benzene
CORA_ROOT ?= ../shared/data/planetoid
TRUST_ROOT ?= ../shared/data/bitcoin_trust
DATA_ROOT ?= ../shared/data
GPU_CHECK_SECONDS ?= 300
DEMO_METHODS ?= saliency,edge_gradients,gnn_explainer
EXPLAIN := $(BIN)/glassgraph explain --overwrite --method $(DEMO_METHODS)

.DEFAULT_GOAL := help
.PHONY: help setup lint test slow test-all quick install-oldest test-oldest wheel-check fuzz laws \
  pyg-cases gpu-check cluster-check demo studies docs gallery coverage-docs clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## make .venv with everything that the tests need

# torch first and alone, so that pip may pick a build without CUDA where one is offered.
$(STAMP): pyproject.toml studies/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and "Glassgraph needs Python 3.10 or newer, and $(PYTHON) is %d.%d. Try: make PYTHON=python3.11 ..." % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) torch==2.13.0
	$(PIP_INSTALL) -e ".[test]" -e studies
	@touch $@

lint: $(STAMP)  ## ruff, mypy and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## lint, then every test and doctest but those marked slow
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto -m 'not slow'

slow: $(STAMP)  ## the tests that make test leaves out
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto -m slow

test-all: test slow laws  ## make test, the slow tests, and every law of every method in every case

quick: $(STAMP)  ## one case per method and law, in two minutes; make test asks for everything
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto -m quick

test-oldest: $(OLDEST)/.installed  ## the quick tests with the oldest versions that are supported
	OMP_NUM_THREADS=1 $(OLDEST)/bin/pytest -q -n auto -m quick --ignore tests/docs

install-oldest: $(OLDEST)/.installed

# Its torch has no build without CUDA outside of PyTorch's own index, so this takes 5 GB of disk.
$(OLDEST)/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install -c constraints-oldest.txt -e . -r constraints-oldest.txt
	$(OLDEST)/bin/python -m pip install --no-deps -e studies  # what tests read of it, not its peers
	@touch $@

wheel-check: $(STAMP)  ## the wheel with all extras in an environment of its own; explains a molecule
	$(BIN)/python -m tests.clean_install

pyg-cases: $(STAMP)  ## all of PyG's own tests of explainers, translated; make test asks a part of them
	OMP_NUM_THREADS=1 GLASSGRAPH_PYG_CASES=all $(BIN)/pytest -q -n auto \
	  tests/situations/test_pyg_explain_cases.py tests/pyg/test_interface_cases.py

laws: $(STAMP)  ## every law of every method in every case; make test asks a covering part of them
	OMP_NUM_THREADS=1 GLASSGRAPH_CASES=all $(BIN)/pytest -q -n auto tests/laws

fuzz: $(STAMP)  ## 20,000 random networks and graphs, other ones each time; prints what fails
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --hypothesis-profile=fuzz tests/fuzz

gpu-check: $(STAMP)  ## everything on a GPU held against the CPU, and its speed; runs on the CPU without one
	@status=0; set -x; \
	$(BIN)/python -m tests.gpu.check --limit $(GPU_CHECK_SECONDS) --json $(OUT)/gpu/check.json \
	  || status=1; \
	if ! $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  echo "speed left out: this machine has no GPU"; exit $$status; \
	fi; \
	$(BIN)/glassgraph bench nodes-per-second --device cuda \
	  --json $(OUT)/gpu/nodes-per-second.json || status=1; \
	$(BIN)/glassgraph bench speed --peer pyg --device cuda --instances 30 --repeats 3 \
	  --method saliency,edge_gradients,gnn_explainer --dataset tree-cycles --dataset ba-shapes \
	  --json $(OUT)/gpu/speed.json || status=1; \
	exit $$status

cluster-check: $(STAMP)  ## jobs whose driver, host or disk dies, with real Ray; two hosts and the disk need root
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.engine.faults.check

demo: $(STAMP)  ## explain reference models on BA-Shapes, Tree-Cycles and (where its files are) MUTAG
	$(EXPLAIN) --dataset ba-shapes --task node --index motif --out $(OUT)/ba-shapes
	$(EXPLAIN) --dataset tree-cycles --task node --index motif --out $(OUT)/tree-cycles
	@if [ -d "$(MUTAG_ROOT)" ]; then set -x; \
	  $(EXPLAIN) --dataset mutag --root "$(MUTAG_ROOT)" --task graph --out $(OUT)/mutag; \
	else \
	  echo "MUTAG left out: no raw files at $(MUTAG_ROOT); name their folder with MUTAG_ROOT=..."; \
	fi

studies: $(STAMP)  ## repeat the papers' experiments, measure speed and scale; rows in out/studies
	@mkdir -p $(OUT)/studies
	$(BIN)/glassgraph reproduce star-graphs --json $(OUT)/studies/star-graphs.json \
	  --figure $(OUT)/studies/star-graphs.png
	$(BIN)/glassgraph reproduce infection --json $(OUT)/studies/infection.json
	$(BIN)/glassgraph reproduce temporal --json $(OUT)/studies/temporal.json
	$(BIN)/glassgraph reproduce edge-gradients --no-matrices \
	  --json $(OUT)/studies/edge-gradients.json --html $(OUT)/studies/edge-gradients \
	  $(if $(wildcard $(DATA_ROOT)/sst_trees),--root $(DATA_ROOT))
	@if [ -d "$(BENZENE_ROOT)" ]; then set -x; \
	  $(BIN)/glassgraph reproduce benzene --root "$(BENZENE_ROOT)" \
	    --json $(OUT)/studies/benzene.json; \
	  $(BIN)/glassgraph reproduce graphxai --root "$(BENZENE_ROOT)" \
	    --json $(OUT)/studies/graphxai.json; \
	  $(BIN)/glassgraph reproduce molecules --root "$(BENZENE_ROOT)/.." \
	    --json $(OUT)/studies/molecules.json; \
	else \
	  echo "benzene left out: no file at $(BENZENE_ROOT); name its folder with BENZENE_ROOT=..."; \
	fi
	$(BIN)/glassgraph reproduce ginx --json $(OUT)/studies/ginx.json
	@if [ -d "$(DATA_ROOT)/mutagenicity_tud" ]; then set -x; \
	  $(BIN)/glassgraph reproduce gnnx-bench --root "$(DATA_ROOT)" \
	    --json $(OUT)/studies/gnnx-bench.json; \
	else \
	  echo "mutagenicity left out: no files in $(DATA_ROOT); name their folder with DATA_ROOT=..."; \
	fi
	$(BIN)/glassgraph reproduce pgm --json $(OUT)/studies/pgm.json \
	  $(if $(wildcard $(TRUST_ROOT)),--root $(TRUST_ROOT))
	@if [ -d "$(CORA_ROOT)" ]; then set -x; \
	  $(BIN)/glassgraph reproduce zorro --root "$(CORA_ROOT)" --json $(OUT)/studies/zorro.json; \
	  $(BIN)/glassgraph reproduce graph-lime --root "$(CORA_ROOT)" \
	    --json $(OUT)/studies/graph-lime.json --figure $(OUT)/studies/graph-lime.png; \
	  $(BIN)/glassgraph bench occlusion --root "$(CORA_ROOT)" \
	    --json $(OUT)/studies/occlusion.json; \
	else \
	  echo "Cora left out: no files at $(CORA_ROOT); name their folder with CORA_ROOT=..."; \
	fi
	$(BIN)/glassgraph reproduce subgraphs --json $(OUT)/studies/subgraphs.json
	$(BIN)/glassgraph reproduce invariance --json $(OUT)/studies/invariance.json
	$(BIN)/glassgraph reproduce xgnn --json $(OUT)/studies/xgnn.json \
	  --figure $(OUT)/studies/xgnn.png --html $(OUT)/studies/xgnn \
	  $(if $(wildcard $(MUTAG_ROOT)),--root $(MUTAG_ROOT))
	@if [ -d "$(DATA_ROOT)/srl_ewt_propbank" ]; then set -x; \
	  $(BIN)/glassgraph reproduce srl --root "$(DATA_ROOT)" --threads 2 \
	    --cache $(OUT)/studies/srl --json $(OUT)/studies/srl.json \
	    --figure $(OUT)/studies/srl.png --html $(OUT)/studies/srl-pages; \
	else \
	  echo "semantic roles left out: no files in $(DATA_ROOT); name their folder with DATA_ROOT=..."; \
	fi
	$(BIN)/glassgraph bench speed --json $(OUT)/studies/speed.json \
	  $(if $(wildcard $(MUTAG_ROOT)),--root $(MUTAG_ROOT))
	$(BIN)/glassgraph bench walks --json $(OUT)/studies/walks.json
	$(BIN)/glassgraph bench scale --json $(OUT)/studies/scale.json
	$(BIN)/glassgraph bench graphmask-cost --json $(OUT)/studies/graphmask-cost.json \
	  $(if $(wildcard $(MUTAG_ROOT)),--root $(MUTAG_ROOT))
	$(BIN)/glassgraph reproduce graphmask-faithfulness \
	  --json $(OUT)/studies/graphmask-faithfulness.json \
	  $(if $(wildcard $(MUTAG_ROOT)),--root $(MUTAG_ROOT))

docs: $(STAMP)  ## build the documentation in out/site; warnings and lost links are errors
	OMP_NUM_THREADS=1 NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(OUT)/site
	@echo "open $(OUT)/site/index.html"

gallery: $(STAMP)  ## take the pictures of docs/gallery again, in a headless Chromium
	OMP_NUM_THREADS=1 $(BIN)/python docs/tools/make_gallery.py

coverage-docs: $(STAMP)  ## write docs/coverage.md from the test's matrix
	$(BIN)/python -m tests.coverage_matrix

clean:  ## remove caches and results; environments stay
	rm -rf out build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src studies tests -type d -name __pycache__ -prune -exec rm -rf {} +

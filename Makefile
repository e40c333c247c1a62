# The one list of commands. `make` alone explains them and names what this machine lacks.

# Any Python from 3.11 on: `make PYTHON=python3.13 setup`.
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .venv-uv/bin/uv)
RUN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup tools test test-unit test-chart test-cluster test-node test-kind test-versions lint generate demo demo-down scan-demo \
	bench soak new-check image python go

help: ## Show this list, and what this machine lacks
	@echo "Usage: make TARGET"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@$(MAKE) --no-print-directory --keep-going python go 2>/dev/null || true

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Missing: Python 3.11 or newer. Install it from https://www.python.org/downloads/ or your system's packages,"; \
	echo "or name another one: make PYTHON=python3.13 setup"; exit 1; }

go:
	@command -v go >/dev/null || { \
	echo "Missing: Go, which builds the test cluster's programs. Install it from https://go.dev/dl/ or your system's"; \
	echo "packages. Without it, 'make test-unit', 'make lint' and 'make scan-demo' work."; exit 1; }

setup: .venv/.ready ## Make .venv with kubedx and everything its development needs

.venv/.ready: pyproject.toml uv.lock $(filter .venv-uv/%,$(UV)) | python
	@echo "Setting up .venv; takes about half a minute the first time"
	@$(UV) sync --quiet --compile-bytecode --python "$$(command -v $(PYTHON))" --group dev
	@touch $@

.venv-uv/bin/uv: | python
	@echo "uv is missing: putting it into .venv-uv, for this checkout alone"
	@$(PYTHON) -m venv .venv-uv || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@.venv-uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

tools: | python go ## Build the test cluster's programs into ~/.cache/kubedx (5 minutes the first time)
	@$(PYTHON) tests/cluster/tools/build.py kubernetes helm promtool

# What needs no cluster runs on all cores, and what runs one fills them by itself.
test: setup ## Run everything that this machine can run
	@$(PYTHON) tests/cluster/tools/build.py kubernetes helm promtool node runc busybox || test "$$CI" != true
	@status=0; \
	$(RUN)/pytest --durations=10 --numprocesses=auto -m "not cluster and not node" || status=1; \
	$(RUN)/pytest --durations=10 -m "cluster or node" || status=1; \
	exit $$status

test-unit: setup ## Run what needs no cluster and no chart tools: seconds
	$(RUN)/pytest -m "not chart and not cluster and not node"

test-chart: setup | python go ## Render the chart and test its alerts
	@$(PYTHON) tests/cluster/tools/build.py helm promtool
	$(RUN)/pytest -m chart

test-cluster: setup | python go ## Run the tests on a real control plane
	@$(PYTHON) tests/cluster/tools/build.py kubernetes helm
	$(RUN)/pytest -m cluster

test-node: setup | python go ## Run the tests on real nodes: a kubelet and a container runtime, as root on Linux
	@$(PYTHON) tests/cluster/tools/build.py kubernetes helm node runc busybox
	$(RUN)/pytest -m node

test-kind: setup | python go ## Run the same on kind, where a Docker engine answers
	@$(PYTHON) tests/cluster/tools/build.py kubernetes helm kind
	KUBEDX_RUNTIME=kind $(RUN)/pytest -m cluster

VERSIONS ?= 1.32.13 1.33.13 1.36.3
test-versions: setup | python go ## Run them on older API servers too: an hour, and 20 minutes to build those once
	@$(PYTHON) tests/cluster/tools/build.py kubernetes helm kubernetes-1.32.13 kubernetes-1.33.13
	@failed=; for version in $(VERSIONS); do \
	echo "Kubernetes $$version"; KUBEDX_KUBERNETES=$$version $(RUN)/pytest -m cluster $(TESTS) || failed="$$failed $$version"; \
	done; test -z "$$failed" || { echo "Failed on$$failed"; exit 1; }

lint: setup ## Check style, types and layers
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports

soak: setup ## Run for half an hour amid random faults, then try the laws longer: make soak ARGS="--minutes 3"
	$(RUN)/python -m tests.faults.soak $(ARGS)
	$(RUN)/pytest --hypothesis-profile=long tests/unit/test_engine_law.py

generate: setup ## Write what follows from the checks: CRDs, chart, docs, and with Go the manifests
	$(RUN)/kubedx generate
	@$(MAKE) --no-print-directory go
	$(RUN)/python -m tests.chart.manifests

demo: setup tools ## Put faults into a real control plane and watch kubedx find them
	$(RUN)/python examples/demo.py

demo-down: setup ## End the demo and remove its cluster
	$(RUN)/python examples/demo.py --down

scan-demo: setup ## Diagnose a dump, without a cluster
	$(RUN)/kubedx scan --fail-on=never examples/dump

bench: setup | python go ## Measure whole processes at the limits of Kubernetes (20 minutes): make bench ARGS="--quick"
	@$(UV) sync --quiet --compile-bytecode --inexact --group dev --group bench
	$(RUN)/python -m bench $(ARGS)

new-check: setup ## Start a check: make new-check ID=PodStuckSomehow AREA=pods [KIND=Pod]
	@test -n "$(ID)" -a -n "$(AREA)" || { echo "Usage: make new-check ID=PodStuckSomehow AREA=pods [KIND=Pod]"; exit 2; }
	@$(RUN)/kubedx new-check "$(ID)" --area "$(AREA)" --kind "$(or $(KIND),Pod)"

image: ## Build the container image with docker, podman or buildah
	@engine="$$(command -v docker || command -v podman || command -v buildah)" || { \
	echo "Missing: docker, podman or buildah, to build the image."; exit 1; }; \
	"$$engine" build --tag kubedx:dev .

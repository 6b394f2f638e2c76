# `make help` lists what can be made. The two that matter: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
VENV_READY := .venv/.ready

##@ Start here

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	/^[a-zA-Z0-9_-]+:.*## / {printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(VENV_READY) ## Make .venv with everything pinned by hash

$(VENV_READY): requirements/dev.txt requirements/bootstrap.txt
	@./hack/localcluster/bootstrap-python.sh .venv requirements
	@touch $@

include hack/localcluster/localcluster.mk

##@ Operator

IN_CLUSTER = . .cluster/env &&

.PHONY: run
run: venv crd-apply ## Run the operator from the checkout with kopf run (all namespaces)
	@$(IN_CLUSTER) .venv/bin/kopf run operator/main.py --all-namespaces

.PHONY: crd-apply
crd-apply: cluster
	@$(IN_CLUSTER) kubectl apply --server-side --force-conflicts -f crd/selfhealingapp.yaml

.PHONY: deploy
deploy: images crd-apply ## Install the operator into the cluster (namespace selfhealing-system)
	@$(IN_CLUSTER) kubectl apply --server-side --force-conflicts -f deploy/operator.yaml
	@# The tag stays the same when the image changes: start the pods anew.
	@$(IN_CLUSTER) kubectl -n selfhealing-system rollout restart deployment/selfhealing-operator
	@$(IN_CLUSTER) kubectl -n selfhealing-system rollout status deployment/selfhealing-operator --timeout=120s

.PHONY: undeploy
undeploy: venv ## Remove the operator; apps go on running without it
	@$(IN_CLUSTER) kubectl delete --ignore-not-found -f deploy/operator.yaml

include hack/scenarios/demo/demo.mk
include hack/scenarios/lab/lab.mk
include hack/scenarios/exam/exam.mk
include hack/loadtest/loadtest.mk
include hack/benchmark/benchmark.mk
include hack/worlds/worlds.mk
include hack/sieve/sieve.mk

##@ Check

# With bytecode kept, an operator or a worker starts in half the time.
test% check: export PYTHONDONTWRITEBYTECODE =

PYTEST = .venv/bin/python -m pytest
UNIT_WORKERS ?= auto --maxprocesses=8
CLUSTER_WORKERS ?= 6
IN_UNITS = -n $(CLUSTER_WORKERS) --dist loadscope -m "not alone"
# Limits of waiting, in multiples of what a test says: the machine is busy. No test gets slower.
PATIENCE = TEST_PATIENCE=3
RECORD = $(PATIENCE) TEST_RECORD=.artifacts/tests/$@
# In CI a test that needs a cluster may be run once more: a shared machine can stall for longer than
# any limit of a test. The summary names each such test; one that is named twice has a bug.
RERUN = $(if $(CI),--reruns 1)
# ARGS='-k name' may select no test of one of the runs.
$(eval ANY = $(if $(ARGS),|| [ $$$$? -eq 5 ]))
# Above the tests: API server, kubelets and containers, which they measure.
BELOW = nice -n 10

.PHONY: test
test: venv ## Every check and every test (starts the local cluster); ends with a table of times
	@$(PYTHON) -m hack.testkit.suite

.PHONY: check
check: venv ## Lint, types, and the unit tests of what changed: under a minute
	@$(PYTHON) -m hack.testkit.quick_check

.PHONY: lint
lint: venv ## Ruff, mypy --strict, import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@PYTHONPATH=operator:. .venv/bin/lint-imports

.PHONY: verify
verify: venv ## Compare the generated files with what would be generated now
	@cd operator && ../.venv/bin/python -m selfhealing.crdgen.crd --check
	@cd operator && ../.venv/bin/python -m selfhealing.cli.manifests --check ../deploy/operator.yaml
	@PYTHONPATH=operator $(PYTHON) -m hack.gitops.argocd --check
	@cd operator && ../.venv/bin/python -m selfhealing.cli.chart --check
	@cd operator && ../.venv/bin/python -m selfhealing.cli.olm_bundle --check
	@PYTHONPATH=operator $(PYTHON) -m hack.site.reference --check
	@$(LAB) pages --check

.PHONY: test-unit
test-unit: venv ## The tests that need no cluster, with the coverage of the pure core
	@.venv/bin/coverage erase
	@$(RECORD).json nice -n 15 .venv/bin/coverage run -m pytest tests/unit -n $(UNIT_WORKERS) --dist worksteal $(ARGS)
	@.venv/bin/coverage combine -q
	@.venv/bin/coverage report

.PHONY: test-hack
test-hack: venv ## The tests of the tools in hack/, which need no cluster
	@.venv/bin/python -m pytest hack $(ARGS)

.PHONY: test-browser
test-browser: venv ## The demo app's panel in a real browser (installs Chromium where it is missing)
	@$(RECORD).json nice -n 15 $(PYTEST) tests/ui $(RERUN) $(ARGS)

.PHONY: test-cluster
test-cluster: cluster ## The tests on a real API server with fake nodes
	@$(MAKE) cluster-kwok N=10
	@$(MAKE) quiet
	@$(IN_CLUSTER) $(RECORD).json $(BELOW) $(PYTEST) tests/integration $(IN_UNITS) $(RERUN) $(ARGS) $(ANY)
	@$(IN_CLUSTER) $(RECORD)-alone.json $(PYTEST) tests/integration -m alone $(RERUN) $(ARGS) $(ANY)

.PHONY: test-e2e
test-e2e: images ## The tests with real containers
	@$(MAKE) cluster ADDONS=metrics-stack,vpa
	@$(MAKE) quiet
	@$(IN_CLUSTER) $(RECORD).json $(BELOW) $(PYTEST) tests/e2e $(IN_UNITS) $(RERUN) $(ARGS) $(ANY)
	@$(IN_CLUSTER) $(RECORD)-alone.json $(PYTEST) tests/e2e -m alone $(RERUN) $(ARGS) $(ANY)

# The parts of `make test` that need the cluster (hack/testkit/suite.py).
.PHONY: test-setup test-parallel test-calm test-alone
test-setup: venv
	@$(MAKE) cluster ADDONS=metrics-stack,vpa
	@$(MAKE) images
	@$(MAKE) cluster-kwok N=10
	@$(MAKE) quiet
	@$(PYTHON) -m hack.testkit.go_programs vegeta verdicts helm bundle

test-parallel: venv
	@$(IN_CLUSTER) $(RECORD).json $(BELOW) $(PYTEST) tests/integration tests/e2e $(IN_UNITS) $(RERUN) $(ARGS)

test-calm: venv
	@$(IN_CLUSTER) $(RECORD).json $(PYTEST) tests/integration -m alone $(RERUN) $(ARGS)

test-alone: venv
	@$(IN_CLUSTER) $(RECORD).json $(PYTEST) tests/e2e -m alone $(RERUN) $(ARGS)

.PHONY: test-nightly
test-nightly: venv ## The properties of the unit tests and of the CRD with many examples (an hour)
	@HYPOTHESIS_PROFILE=local TEST_EXAMPLES=20 ENVELOPE_EXAMPLES=3000 $(PYTEST) tests/unit -n $(UNIT_WORKERS) --dist worksteal $(ARGS)
	@$(IN_CLUSTER) CRD_EXAMPLES=20 $(PYTEST) tests/integration/test_crd_accepts.py $(IN_UNITS) $(ARGS)

# An operator that serves the whole cluster would work on the tests' apps too.
.PHONY: quiet
quiet:
	@$(IN_CLUSTER) if kubectl -n selfhealing-system get deployment selfhealing-operator >/dev/null 2>&1; then \
	  if [ "$(CLUSTER)" = existing ]; then echo "An operator runs in selfhealing-system and would disturb the tests: make undeploy" >&2; exit 1; fi; \
	  echo "==> Removing the operator from the local cluster: the tests run their own"; $(MAKE) undeploy; fi

.PHONY: format
format: venv ## Rewrite the sources in the project's format
	@.venv/bin/ruff check --fix-only -q .
	@.venv/bin/ruff format -q .

##@ Maintain

.PHONY: generate
generate: venv ## Write the CRD, the reference pages, the files of deploy/ and the lab's pages anew
	@cd operator && ../.venv/bin/python -m selfhealing.crdgen.crd
	@cd operator && ../.venv/bin/python -m selfhealing.cli.manifests > ../deploy/operator.yaml
	@cd operator && ../.venv/bin/python -m selfhealing.cli.chart
	@cd operator && ../.venv/bin/python -m selfhealing.cli.olm_bundle
	@PYTHONPATH=operator $(PYTHON) -m hack.gitops.argocd
	@PYTHONPATH=operator $(PYTHON) -m hack.site.reference
	@$(LAB) pages

include hack/plugin/plugin.mk
include hack/sbom/sbom.mk
include hack/site/site.mk

.PHONY: lock
lock: venv ## Resolve requirements/*.in anew, with hashes and without addresses
	@for f in bootstrap operator app dev sbom site plugin shiv; do .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header -o requirements/$$f.txt requirements/$$f.in; done

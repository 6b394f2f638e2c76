##@ Measure

.PHONY: bench
bench: cluster ## The benchmark: a table and .artifacts/bench.json (N=300,500 FLEET=1000 REPS=3 ONLY=abcdef)
	@$(MAKE) cluster-kwok N=10
	@$(MAKE) crd-apply
	@$(MAKE) quiet
	@$(IN_CLUSTER) .venv/bin/python -m hack.benchmark $(if $(N),--apps $(N)) $(if $(FLEET),--fleet $(FLEET)) \
	  $(if $(REPS),--repetitions $(REPS)) $(if $(ONLY),--figures $(ONLY))

.PHONY: bench-docs
bench-docs: venv ## Put the table of the last run into docs/benchmark.md
	@.venv/bin/python -m hack.benchmark.report

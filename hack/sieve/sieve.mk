##@ Crashes and stale views

SIEVE = PYTHONPATH=operator $(BELOW) $(PYTHON) -m hack.sieve

.PHONY: sieve
sieve: cluster ## Every story with a crash at each write, each event lost, each watch frozen (STORY=apply FAULT="swallow ADDED pods 1" JOBS=12 MINUTES=25 SAMPLE=20 FRESH=1)
	@$(MAKE) cluster-kwok N=10
	@$(MAKE) quiet
	@$(IN_CLUSTER) $(PATIENCE) $(SIEVE) $(if $(JOBS),--jobs $(JOBS)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(STORY),--story $(STORY)) $(if $(FAULT),--fault "$(FAULT)") $(if $(FRESH),--fresh)

.PHONY: sieve-docs
sieve-docs: $(VENV_READY) ## Put the table of the last whole sieve into docs/crash-consistency.md
	@$(SIEVE) --docs

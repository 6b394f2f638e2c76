##@ Crashes and stale views

.PHONY: sieve
sieve: cluster ## Every story with a crash at each write, each event lost, each watch frozen (STORY=apply FAULT="swallow ADDED pods 1" JOBS=4 FRESH=1; about 45 minutes)
	@$(MAKE) cluster-kwok N=10
	@$(MAKE) quiet
	@$(IN_CLUSTER) $(PATIENCE) PYTHONPATH=operator $(BELOW) $(PYTHON) -m hack.sieve --jobs $(or $(JOBS),4) $(if $(STORY),--story $(STORY)) $(if $(FAULT),--fault "$(FAULT)") $(if $(FRESH),--fresh)

.PHONY: worlds
worlds: venv ## Judge the operator in N simulated worlds (N=1000 SEED=number tells one world; ONLY=fault, JOBS=2)
	@PYTHONPATH=operator:. .venv/bin/python -m hack.worlds $(if $(N),--worlds $(N)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(FIRST),--first $(FIRST)) $(if $(ONLY),--only "$(ONLY)") $(if $(JOBS),--jobs $(JOBS))

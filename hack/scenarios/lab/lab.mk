##@ Lab

LAB = PYTHONPATH=operator $(PYTHON) -m hack.scenarios.lab
LAB_STEPS = $(foreach step,$(STEP),--step $(step))

# Steps in a recipe, not prerequisites: they must come one after the other, also with `make -j`.
.PHONY: lab
lab: $(VENV_READY) ## Carry out docs/lab and check it (STEP=liveness, or several in quotes; UI=1 with the dashboard; KEEP=1; CAPTURE=1 writes the outputs)
	@$(LAB) steps $(LAB_STEPS)
	@$(MAKE) cluster
	@$(MAKE) deploy
	@$(IN_CLUSTER) $(LAB) run $(LAB_STEPS) $(if $(NAMESPACE),--namespace $(NAMESPACE)) \
	  $(if $(UI),--ui) $(if $(KEEP),--keep) $(if $(CAPTURE),--capture)

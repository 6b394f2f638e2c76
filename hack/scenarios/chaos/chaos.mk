##@ Drill

DRILL = PYTHONPATH=operator $(PYTHON) -m hack.scenarios.chaos
DRILL_FAULTS = $(foreach fault,$(FAULT),--fault $(fault))

# Steps in a recipe, not prerequisites: they must come one after the other, also with `make -j`.
.PHONY: drill
drill: $(VENV_READY) ## Break a real app on purpose, without healing and with it (FAULT=bad-image, or several in quotes)
	@$(DRILL) list $(DRILL_FAULTS)
	@$(MAKE) images
	@$(MAKE) crd-apply
	@$(MAKE) quiet
	@$(IN_CLUSTER) $(DRILL) run $(DRILL_FAULTS) $(if $(NAMESPACE),--namespace $(NAMESPACE))

.PHONY: drill-docs
drill-docs: $(VENV_READY) ## Put the figures of the last whole run of drills into docs/healing.md
	@$(DRILL) docs

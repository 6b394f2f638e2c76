##@ Demo

# Steps in a recipe, not prerequisites: they must come one after the other, also with `make -j`.
.PHONY: demo
demo: $(VENV_READY) ## See it: cluster, operator, an app that fails and is healed (KEEP=1, NAMESPACE=x)
	@$(MAKE) cluster
	@$(MAKE) deploy
	@$(PYTHON) -m hack.scenarios.demo $(if $(NAMESPACE),--namespace $(NAMESPACE)) $(if $(KEEP),--keep)

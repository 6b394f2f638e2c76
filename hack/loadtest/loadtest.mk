##@ Load

.PHONY: load
load: $(VENV_READY) ## Requests to an app through its Service (APP=lab NAMESPACE=default RATE=50 SECONDS=30, or CONNECTIONS=n)
	@$(PYTHON) -m hack.loadtest --app $(or $(APP),lab) $(if $(NAMESPACE),--namespace $(NAMESPACE)) $(if $(RATE),--rate $(RATE)) \
	  $(if $(CONNECTIONS),--connections $(CONNECTIONS)) $(if $(SECONDS),--seconds $(SECONDS))

PLUGIN := .artifacts/plugin
SHIV_READY := $(PLUGIN)/venv/.ready

.PHONY: plugin
plugin: $(SHIV_READY) ## Build the kubectl plugin as a single file: .artifacts/plugin/kubectl-selfheal (URL=... for krew)
	@PYTHONPATH=operator $(PYTHON) -m hack.plugin $(PLUGIN) $(PLUGIN)/venv/bin/shiv $(URL)

# In an environment of its own: nothing else of the project needs these packages.
$(SHIV_READY): requirements/shiv.txt | $(VENV_READY)
	@.venv/bin/uv venv -q --clear $(PLUGIN)/venv
	@.venv/bin/uv pip install -q --python $(PLUGIN)/venv/bin/python --require-hashes --only-binary :all: -r $<
	@touch $@

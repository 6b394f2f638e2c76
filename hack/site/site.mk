SITE_BUILD := .artifacts/site-build
SITE_READY := $(SITE_BUILD)/venv/.ready

.PHONY: docs
docs: $(SITE_READY) ## Build the documentation as a site into .artifacts/site, and check every link
	@nice -n 15 $(PYTHON) -m hack.site $(SITE_BUILD)/venv/bin/mkdocs

.PHONY: docs-serve
docs-serve: docs ## Serve the site at http://127.0.0.1:8000, also without internet
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory .artifacts/site 8000

# In an environment of its own: nothing else of the project needs these packages.
$(SITE_READY): requirements/site.txt | $(VENV_READY)
	@.venv/bin/uv venv -q --clear $(SITE_BUILD)/venv
	@.venv/bin/uv pip install -q --python $(SITE_BUILD)/venv/bin/python --require-hashes --only-binary :all: -r $<
	@touch $@

SBOM := .artifacts/sbom
SBOM_READY := $(SBOM)/venv/.ready

.PHONY: sbom
sbom: $(SBOM_READY) ## Write software bills of materials (CycloneDX JSON) of both images to .artifacts/sbom
	@PYTHONWARNINGS=ignore::UserWarning $(SBOM)/venv/bin/cyclonedx-py requirements requirements/operator.txt --pyproject pyproject.toml \
	  --output-reproducible --of JSON --validate -o $(SBOM)/operator.cdx.json
	@PYTHONWARNINGS=ignore::UserWarning $(SBOM)/venv/bin/cyclonedx-py requirements requirements/app.txt \
	  --output-reproducible --of JSON --validate -o $(SBOM)/app.cdx.json
	@$(PYTHON) -m hack.sbom $(SBOM)

# In an environment of its own: nothing else of the project needs these packages.
$(SBOM_READY): requirements/sbom.txt | $(VENV_READY)
	@.venv/bin/uv venv -q --clear $(SBOM)/venv
	@.venv/bin/uv pip install -q --python $(SBOM)/venv/bin/python --require-hashes --only-binary :all: -r $<
	@touch $@

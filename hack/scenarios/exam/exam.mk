##@ Exam

EXAM = PYTHONPATH=operator $(PYTHON) -m hack.scenarios.exam
EXAM_ROWS = $(foreach fault,$(FAULT),--fault $(fault)) $(if $(SCALE),--scale $(SCALE))
EXAM_RUN = $(EXAM_ROWS) $(if $(FRESH),--fresh) $(if $(LANES),--lanes $(LANES)) $(if $(NAMESPACE),--namespace $(NAMESPACE))

# Steps in a recipe, not prerequisites: they must come one after the other, also with `make -j`.
.PHONY: exam
exam: $(VENV_READY) ## Inject a list of faults, with healing and beside it without (LIST=1, FAULT=14-child, SCALE=1, FRESH=1)
	@$(EXAM) list $(EXAM_ROWS)
ifndef LIST
	@$(MAKE) exam-cluster
	@$(IN_CLUSTER) $(EXAM) run $(EXAM_RUN)
endif

.PHONY: drill
drill: $(VENV_READY) ## The rows of the exam that are the drills: a bad image, a crash, a hang, a lost node ...
	@$(EXAM) list --drills $(EXAM_ROWS)
	@$(MAKE) exam-cluster
	@$(IN_CLUSTER) $(EXAM) run --drills $(EXAM_RUN)

.PHONY: exam-default-times
exam-default-times: $(VENV_READY) ## Three certain faults at default times (five minutes)
	@$(MAKE) exam-cluster
	@$(IN_CLUSTER) $(EXAM) run --fault 1-spec --fault 2-spec --fault 11-spec --scale 1 --report .artifacts/default-times $(if $(NAMESPACE),--namespace $(NAMESPACE))

.PHONY: exam-cluster
exam-cluster:
	@$(MAKE) images
	@$(MAKE) crd-apply
	@$(MAKE) quiet

.PHONY: exam-docs
exam-docs: $(VENV_READY) ## Put the figures of the last whole exam into docs/healing.md
	@$(EXAM) docs

.PHONY: drill-docs
drill-docs: exam-docs ## The same as exam-docs, under its former name

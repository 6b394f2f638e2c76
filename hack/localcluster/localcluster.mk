##@ Local cluster (kind everywhere: docs/local-cluster.md)

CLUSTER_TOOL = $(PYTHON) -m hack.localcluster

.PHONY: cluster cluster-kwok cluster-status cluster-env cluster-down cluster-purge images reproducible

cluster: $(VENV_READY) ## Start or repair the cluster (WORKERS=n, ADDONS=metrics-stack,vpa, NODE_IMAGE=stock|source, CLUSTER=existing)
	@$(CLUSTER_TOOL) up

cluster-kwok: $(VENV_READY) ## Have N fake nodes for load tests (N=10; N=0 removes them)
	@$(CLUSTER_TOOL) kwok $(N)

cluster-status: $(VENV_READY) ## Say what runs, its versions, nodes and the mode
	@$(CLUSTER_TOOL) status

cluster-env: $(VENV_READY) ## Print KUBECONFIG, DOCKER_HOST and PATH for a shell
	@$(CLUSTER_TOOL) env

cluster-down: $(VENV_READY) ## Remove the cluster: no process, mount, device or rule stays
	@$(CLUSTER_TOOL) down

cluster-purge: $(VENV_READY) ## cluster-down, and remove images and caches too
	@$(CLUSTER_TOOL) purge

images: cluster ## Build the app and operator images and load them into the cluster
	@$(CLUSTER_TOOL) images

reproducible: cluster ## Build each image twice, from two checkouts without a cache, and compare (some minutes)
	@$(CLUSTER_TOOL) reproducible

export WORKERS NODE_IMAGE CLUSTER YES ADDONS API_PORT

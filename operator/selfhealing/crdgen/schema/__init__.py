"""Generates the schema of the CRD from the models. Not needed at run time.

::

    spec.py, status.py ──► structural ──► the schema in crd/selfhealingapp.yaml
                              ▲
    Kubernetes' own schemas ──► published ◄── overlays: limits that Kubernetes has only in its code

- ``published`` inlines a type that Kubernetes publishes;
- ``overlay`` changes a published schema; ``crdgen.overlays`` has the changes, by type;
- ``structural`` turns the JSON schema of a model into a structural schema;
- ``layout`` writes the CRD as a YAML file.
"""

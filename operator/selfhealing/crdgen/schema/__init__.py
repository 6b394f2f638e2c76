"""From typed models to the schema of the CRD. Needed to generate it, never at run time.

::

    spec.py, status.py ──► structural ──► the schema in crd/selfhealingapp.yaml
                              ▲
    Kubernetes' own schemas ──► published ◄── overlays: what Kubernetes checks only in its code

- ``published`` inlines a type that Kubernetes publishes;
- ``overlay`` changes a published schema; ``tables`` holds the changes, by the type's name;
- ``structural`` turns a model's JSON schema into what a CRD may contain.
"""

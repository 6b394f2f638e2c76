"""What the tests and the tools share.

``kube_client`` is the Kubernetes client, ``wait`` waits for conditions, ``operator_process`` runs
an operator, ``progress`` is the progress display. Imports go down only: from scenarios, loadtest
and benchmark to this package, and from here to ``hack.localcluster``.
"""

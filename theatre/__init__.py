"""What ``make demo`` and ``make lab`` share: looking at a cluster, and showing what is seen.

``look`` is what can be seen of a namespace at one moment; ``live`` and ``plain`` show it, in a
terminal and in a log; ``kube`` and ``namespace`` are the way to the cluster. Nothing here knows the
operator's code or what is played.
"""

"""What ``make demo``, ``make lab`` and ``make drill`` share: looking at a cluster, and showing it.

``look`` is what can be seen of a namespace at one moment; ``live`` and ``plain`` show it, in a
terminal and in a log; ``watch`` looks again and again, ``timeline`` is what that comes to, ``plot``
and ``page`` draw it. ``stream`` sends an app requests; ``kube`` and ``namespace`` are the way to
the cluster. Nothing here knows the operator's code or what is played.
"""

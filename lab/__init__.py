"""``make lab``: the pages of docs/lab, carried out on a real cluster, checked and drawn.

The English pages are the only source: ``pages`` reads from them which commands a reader types and
what must come of them; ``shell`` types them; ``stage`` plays a page; ``watch`` looks at the cluster
meanwhile; ``timeline`` and ``plot`` draw what was seen, ``report`` makes a page of all of it.
``writing`` puts files, manifests and real outputs into the pages of both languages.
"""

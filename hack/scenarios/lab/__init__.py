"""``make lab``: the pages of docs/lab, carried out on a real cluster, checked and drawn.

The English pages are the only source: ``pages`` reads from them which commands a reader types and
what must come of them; ``shell`` types them; ``stage`` plays a page; ``report`` tells of all that
was seen. ``writing`` puts files, manifests and real outputs into the pages of both languages.
"""

"""``kubectl selfheal``: shows, explains and drives apps from a person's own machine.

It has the rights of the person who runs it, and none of the operator's. ``view`` is pure: it turns
the objects of the cluster into what is shown. ``cluster`` reads them.
"""

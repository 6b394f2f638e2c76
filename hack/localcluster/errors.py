"""The one error a user of the cluster tool ever sees.

Everything that can go wrong outside this code ends in one clear sentence that says what to do;
a traceback means a bug in the tool itself.
"""


class ClusterError(Exception):
    """Something the user can act on; its text is shown as it is, without a traceback."""

"""What the demo, the lab and the exam share.

``scenario`` and ``runner`` run scenarios. ``cluster_state`` reads the state of a namespace,
``console`` shows it, in a terminal (``live_console``) or as lines (``plain_console``). ``sampler``
records it, ``timeline`` summarizes the records, ``svg_chart`` and ``html`` draw them. Nothing here
imports the operator.
"""

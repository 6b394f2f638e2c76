"""From raw watch events to Facts: a slim view of the cluster, only the fields that are used.

``parse`` turns one raw object into a frozen view, ``store`` keeps the views of all apps by key,
``facts`` is everything known of one app at one moment. No I/O and no clock.
"""

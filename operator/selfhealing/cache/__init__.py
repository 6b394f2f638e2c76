"""The cache: watched objects, reduced to the fields that the operator uses.

``parse`` and ``child_views`` turn one raw object into a frozen view, ``store`` keeps the views of
all apps by key, ``snapshot`` holds the views of one app at one moment. No I/O and no clock.
"""

"""Decides which remediation a diagnosis gets, within the limits of spec.healing. Pure."""

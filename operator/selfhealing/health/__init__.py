"""Finds the problems of pods, and what is wrong with the app as a whole and why. Pure."""

"""Finds the problems of pods, and diagnoses the app: what is wrong, and by what cause. Pure."""

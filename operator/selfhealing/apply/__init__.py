"""Compares the desired children with the observed ones and returns what to do. Pure."""

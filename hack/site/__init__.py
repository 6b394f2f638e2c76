"""Builds the documentation as a site, in English and Chinese (docs/adr/0036)."""

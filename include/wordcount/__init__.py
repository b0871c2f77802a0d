"""Beam's introduction: which words stand in a text, and how often."""

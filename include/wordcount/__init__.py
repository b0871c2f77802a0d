"""Beam's introductory example: counts the words of a text."""

"""Pipelines for the tests: real TFX, small work."""

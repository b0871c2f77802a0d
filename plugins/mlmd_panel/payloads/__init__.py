"""Reads the contents of artifacts, one module per artifact type, without TensorFlow."""

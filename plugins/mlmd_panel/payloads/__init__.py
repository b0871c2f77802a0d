"""What lies behind an artifact's URI, one file per artifact type, read without TensorFlow."""

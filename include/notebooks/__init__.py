"""The taxi pipeline's components one by one in a notebook; in the TFX interpreter only."""

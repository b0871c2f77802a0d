"""One node of one run, through TFX's own launcher."""

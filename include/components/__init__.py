"""TFX nodes for any pipeline; imported by the TFX interpreter only."""

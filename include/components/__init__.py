"""TFX nodes for retraining, for any pipeline; imported by the TFX interpreter only."""

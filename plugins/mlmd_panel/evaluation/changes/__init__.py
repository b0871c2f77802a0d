"""What changed between two runs: data, drift, schema, code, parameters, models and libraries, and what that explains."""

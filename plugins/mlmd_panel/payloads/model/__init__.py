"""Payloads of models, and of what is said of them: blessings, hyper-parameters, transform graphs."""

"""Payloads of models, blessings, hyperparameters and transform graphs."""

"""Payloads of evaluations, as TFMA writes them."""

"""Payloads of data: examples, their statistics, schema and anomalies."""

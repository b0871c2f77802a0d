"""What runs in the TFX interpreter. Never imports Airflow; nothing outside imports from here."""

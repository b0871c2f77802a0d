"""A secrets backend that cannot be reached the first times it is asked for the Connection `store`."""

from __future__ import annotations

from pathlib import Path

from airflow.secrets import BaseSecretsBackend


class FlakySecrets(BaseSecretsBackend):
    """Says no more than Airflow's own, when its API server does not answer: nothing."""

    def __init__(self, folder: str, failures: int):
        """Takes the folder in which it counts, and how often it fails."""
        self._asked, self._failures = Path(folder) / "asked", failures
        self._value = f"sqlite:///{folder}/named.db"

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """The Connection, if it is this one and the backend can be reached."""
        if conn_id != "store":
            return None
        asked = len(self._asked.read_text()) if self._asked.exists() else 0
        self._asked.write_text("x" * (asked + 1))
        if asked < self._failures:
            raise ConnectionError("no route to the vault, whose token is hidden-token")
        return self._value

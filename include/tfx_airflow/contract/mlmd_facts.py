"""How an ML Metadata store is named and read, and what this bundle writes into one.

The orchestrator and the panel never import each other, since a DAG bundle and Airflow's plugins may be deployed
apart. This file therefore stands in both, `include/tfx_airflow/contract/` and `plugins/mlmd_panel/store/`;
`make lint` holds the two to one text.
"""

from __future__ import annotations

# ml_metadata's, in the table MLMDEnv.
SCHEMA_VERSION = 10
# The embedded store, below [tfx_airflow] home.
SQLITE_FILE = "mlmd/metadata.db"
# An Airflow Connection's type, and what it means.
CONNECTION_KINDS = {
    "sqlite": "sqlite",
    "mysql": "mysql",
    "postgres": "postgresql",
    "postgresql": "postgresql",
}
# Earlier versions used the Connection of this name wherever there was one.
FORMER_CONNECTION = "mlmd_default"
# Extras of the Connection that MLMD takes, by kind; their names are MLMD's.
SSL_FIELDS = {
    "mysql": ("key", "cert", "ca", "capath", "cipher", "verify_server_cert"),
    "postgresql": ("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert"),
}
# What a store on PostgreSQL has for a backslash, of which ml_metadata makes broken SQL there.
POSTGRESQL_BACKSLASH = "\ue05c"
# Types of the contexts that tell Airflow's task instances apart, see the orchestrator's `identity.py`.
TASK_CONTEXT = "airflow_task_instance"
TRIES_CONTEXT = "airflow_task_tries"
GROUP_CONTEXT = "airflow_task_group"
# Properties of a TASK_CONTEXT.
TASK_PROPERTIES = ("dag_id", "run_id", "task_id", "map_index", "try_number")

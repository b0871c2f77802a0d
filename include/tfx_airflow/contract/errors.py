"""The orchestrator's errors: each says what failed, on which object, and how to fix it."""

from __future__ import annotations


class TfxAirflowError(Exception):
    """Base class of the errors that this package raises; `headline` names the kind."""

    headline = "TFX on Airflow failed"

    def __init__(self, message: str, tail: str = ""):
        """Joins headline, message and, at the end, the last lines of a child process.

        Args:
          message: What failed, the object with its value, and what to do.
          tail: Last lines of the child that failed; empty when no child was involved.
        """
        tail = tail.strip("\n")
        super().__init__(f"{self.headline}: {message}" + (f"\n{tail}" if tail else ""))


class SettingsError(TfxAirflowError):
    """A setting is missing or has a value that cannot be used."""

    headline = "Setting"


class CompileError(TfxAirflowError):
    """A pipeline function could not be turned into a DAG."""

    headline = "Pipeline did not compile"


class StillCompilingError(CompileError):
    """A pipeline is still being compiled; a later parse finds the result."""


class UnsupportedNodeError(CompileError):
    """A pipeline uses something that cannot run as one Airflow task per node."""

    headline = "Pipeline cannot run on Airflow"


class NoDagError(UnsupportedNodeError):
    """A file that was written for TFX's Airflow runner makes no DAG: of a folder of such files, it is a helper."""

    headline = "Legacy DAG file"


class ManifestError(TfxAirflowError):
    """A compiled pipeline on disk cannot be read by this version."""

    headline = "Compiled pipeline"


class ConfigError(TfxAirflowError):
    """A node config or runtime parameter in the DAG file does not fit the pipeline."""

    headline = "DAG configuration"


class MlmdError(TfxAirflowError):
    """The ML Metadata store cannot be used."""

    headline = "ML Metadata"


class MlmdConnectionError(MlmdError):
    """The store's Connection cannot be read now; a retry may help."""


class MlmdSchemaError(MlmdError):
    """The store has no MLMD schema, or one of another version: a retry cannot help."""


class BeamError(TfxAirflowError):
    """A Beam program or job ended with an error; a retry may help."""

    headline = "Beam job failed"


class BeamConnectionError(TfxAirflowError):
    """The Connection of a Beam runner cannot be read now; a retry may help."""

    headline = "Beam runner"


class NodeError(TfxAirflowError):
    """A node failed; a retry may help."""

    headline = "Node failed"


class ObjectStoreError(NodeError):
    """Files in an object store cannot be read or written now; a retry may help."""

    headline = "Object store"


class RetentionError(TfxAirflowError):
    """A plan of what to delete cannot be made or carried out."""

    headline = "Retention"

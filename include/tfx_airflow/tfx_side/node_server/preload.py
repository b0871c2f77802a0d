"""Imports what the node server needs before it forks.

Only imports: no TensorFlow operation, no Beam pipeline, no gRPC channel and no store, whose threads
would not survive a fork. And none of the user's modules: they are imported after the fork, so that
edits are always seen.
"""

# ruff: noqa: F401
# First what a cold child imports first: the order decides what `tf.keras` means.
import include.tfx_airflow.tfx_side.node.node  # isort: skip
import apache_beam.runners.direct.direct_runner
import apache_beam.runners.portability.fn_api_runner.fn_runner
import tensorflow_data_validation
import tensorflow_model_analysis
import tensorflow_transform
from tfx import v1  # the standard components with their executors, and what user modules import

import include.tfx_airflow.tfx_side.node.abandon
import include.tfx_airflow.tfx_side.node.user_code
import include.tfx_airflow.tfx_side.pipeline.ir

"""`ml_metadata.MetadataStore` as nodes use it."""

from __future__ import annotations

from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.tfx_side import order


class MetadataStore(mlmd.MetadataStore):
    """A store whose answers have an order, see `order`."""

    def __init__(self, config: metadata_store_pb2.ConnectionConfig, address: dict[str, Any]):
        """Opens the store.

        Args:
          config: How ml_metadata connects.
          address: Where to, as in a `NodeRequest`.
        """
        super().__init__(config)
        self._address = address

    def _call_method(self, method_name: str, request: Any, response: Any) -> None:
        super()._call_method(method_name, request, response)
        order.arrange(method_name, request, response)

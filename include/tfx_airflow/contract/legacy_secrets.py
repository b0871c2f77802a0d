"""Values in a legacy DAG's config that are secrets by their names, and that Airflow has no use for: they are told nowhere."""

from __future__ import annotations

import datetime
import inspect
import re
from collections.abc import Mapping
from typing import Any

# As Airflow 3 has them, in DEFAULT_SENSITIVE_FIELDS of its secrets masker; each may be a part of a name.
_NAMES = (
    "access_key access_token api_key apikey auth_header authorization bearer connection_string dsn keyfile_dict passphrase"
    " passwd password private_key proxies proxy proxy_password secret service_account service_key token webhook_url".split()
)
# Arguments of Airflow's DAG and tasks that may have such names inside; Airflow masks them itself.
_GIVEN = frozenset(
    "access_control executor_config jinja_environment_kwargs owner_links params user_defined_filters user_defined_macros".split()
)
# None of them is a secret, as for Airflow.
_SHOWN = (type(None), bool, int, float, datetime.date, datetime.timedelta)


class _Masked:
    def __repr__(self) -> str:
        return "*** (masked: its name looks like that of a secret)"


MASKED = _Masked()


def masked(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """A config, or defaults in it, with `MASKED` in place of each text and object that has the name of a secret.

    So has what is in something of such a name. What Airflow is given stays, because its tasks need it.
    """
    found = {}
    for name, value in config.items():
        if name == "default_args" and isinstance(value, Mapping):
            found[name] = masked(value)
        else:
            found[name] = value if name in _GIVEN else _masked(value, _is_secret(name))
    return found


def _masked(value: Any, secret: bool) -> Any:
    if isinstance(value, Mapping):
        # As the variables of a container are written: {"name": "DB_PASSWORD", "value": "..."}.
        inside = "value" if _is_secret(value.get("name")) else None
        return {key: _masked(item, secret or _is_secret(key) or key == inside) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, secret) for item in value]
    if isinstance(value, tuple):
        return tuple(_masked(item, secret) for item in value)
    if isinstance(value, (set, frozenset)):
        return frozenset(_masked(item, secret) for item in value)
    shown = isinstance(value, _SHOWN) or inspect.isfunction(value) or (isinstance(value, str) and not value)
    return MASKED if secret and not shown else value


def _is_secret(name: Any) -> bool:
    if not isinstance(name, str):
        return False
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    words = words.replace("tokeniz", "")  # of texts, which is no token
    return any(one in words for one in _NAMES)

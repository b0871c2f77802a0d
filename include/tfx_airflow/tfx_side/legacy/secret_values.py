"""Keeps what Airflow masks of its Variables out of all that is written.

Secrets are by what Airflow masks them for: `api_key`, or `taxi_config['db_password']` for a text inside a JSON Variable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from include.tfx_airflow.contract import json_texts

# As for Airflow's own masks: a shorter one is also part of other words.
_SHORTEST = 5
# TFX puts JSON into JSON; as many times as for paths, in `pipeline/ir.py`.
_ESCAPES = 4


def find_in(texts: Iterable[str], secrets: Mapping[str, str]) -> str:
    """Name of a secret that is in one of the texts; empty if there is none."""
    texts = list(texts)
    for name, value in secrets.items():
        if any(secret in text for secret in _written(value) for text in texts):
            return name
    return ""


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """A text without the secrets."""
    for value in secrets.values():
        for secret in _written(value):
            text = text.replace(secret, "***")
    return text


def refusal(name: str) -> str:
    """Why a pipeline with such a value in it is not compiled."""
    return (
        f"the value of the Airflow Variable {name!r}, which Airflow masks because of that name, would be written into "
        "the compiled pipeline and into ML Metadata. Read it where the node runs instead, from an environment variable "
        "or a secret store; if it is no secret, give it another name."
    )


def _written(value: str) -> Iterator[str]:
    """A secret, and the texts in it when it is JSON; as they are, and as JSON writes them, in JSON in JSON too."""
    for text in json_texts.texts(value):
        if len(text) < _SHORTEST:
            continue
        found = {text}
        for _ in range(_ESCAPES):
            found |= {json.dumps(one, ensure_ascii=ascii_)[1:-1] for one in found for ascii_ in (True, False)}
        yield from sorted(found, key=len)

"""What Airflow masks of Variables, by their names and by the keys of those that are JSON."""

from __future__ import annotations

import json

from include.tfx_airflow.airflow_side import airflow_variables


def test_a_variable_with_a_name_that_airflow_masks_is_a_secret() -> None:
    values = {"my_api_key": "hunter22", "region": "europe", "db_password": None}
    assert airflow_variables.secrets(values) == {"my_api_key": "hunter22"}


def test_of_a_json_variable_the_texts_below_masked_keys_are_secrets() -> None:
    config = {
        "db_password": "hunter2-secret",
        "root": "/srv",
        "stores": [{"secret": {"user": "ann", "codes": ["first-code", 123456, True, None]}}],
        "inner": json.dumps({"api_key": "in-a-text"}),
    }
    found = airflow_variables.secrets({"taxi_config": json.dumps(config), "words": "[not JSON"})
    assert {place: json.loads(texts) for place, texts in found.items()} == {
        "taxi_config['db_password']": ["hunter2-secret"],
        "taxi_config['stores'][0]['secret']": ["ann", "first-code"],
        "taxi_config['inner']['api_key']": ["in-a-text"],
    }

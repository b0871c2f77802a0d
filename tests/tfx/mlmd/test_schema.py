"""The schema of an MLMD store: asked for before it is opened, made on demand, never migrated."""

from __future__ import annotations

import json
import os
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract.errors import MlmdError, MlmdSchemaError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import database, mlmd_store, schema, setup
from include.tfx_airflow.tfx_side.node import run_node
from tests import killed_writer
from tests.pipelines import small

_ROOT = Path(__file__).resolve().parents[3]
_NOWHERE = {
    "host": "127.0.0.1",
    "port": 1,
    "database": "mlmd",
    "user": "tfx",
    "password": "a-password",
    "ssl": {},
}


def _set_versions(address: dict[str, Any], *versions: int) -> None:
    with sqlite3.connect(address["path"]) as connection:
        connection.execute("delete from MLMDEnv")
        connection.executemany("insert into MLMDEnv values (?)", [(version,) for version in versions])
    connection.close()


def _command(action: str, address: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "include.tfx_airflow.tfx_side.mlmd.setup", action],
        input=json.dumps(address),
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        timeout=60,
    )


def test_init_makes_the_schema_once_and_status_counts(address: dict[str, Any]) -> None:
    assert "does not exist yet" in setup.status(address) and not os.path.exists(address["path"])
    assert schema.version(address) is None
    assert setup.init(address) == f"sqlite:///{address['path']}: created MLMD schema version 10."
    assert schema.version(address) == 10
    made = Path(address["path"]).read_bytes()
    assert "already; nothing was changed" in setup.init(address)
    assert Path(address["path"]).read_bytes() == made
    assert setup.status(address).endswith("version 10; 0 pipelines, 0 runs, 0 executions, 0 artifacts")


@pytest.mark.parametrize(
    ("version", "cure"), [(9, "enable_upgrade_migration"), (11, "the ml_metadata that made it")]
)
def test_another_version_is_refused_with_both_and_the_cure_and_not_touched(
    address: dict[str, Any], version: int, cure: str
) -> None:
    setup.init(address)
    _set_versions(address, version)
    before = Path(address["path"]).read_bytes()
    for action in (setup.init, setup.status, schema.check, lambda a: mlmd_store.open_store(a).__enter__()):
        with pytest.raises(MlmdSchemaError) as caught:
            action(address)
        said = f"has MLMD schema version {version}, but this ml_metadata needs version 10."
        assert (
            said in str(caught.value) and cure in str(caught.value) and address["path"] in str(caught.value)
        )
    assert Path(address["path"]).read_bytes() == before


def test_two_versions_in_one_store_are_named(address: dict[str, Any]) -> None:
    setup.init(address)
    _set_versions(address, 9, 10)
    with pytest.raises(MlmdSchemaError, match=r"has 2 schema versions, \[9, 10\]"):
        schema.check(address)


def test_command_says_in_one_line_what_is_wrong_without_the_password() -> None:
    for kind in ("mysql", "postgresql"):
        done = _command("status", {**_NOWHERE, "kind": kind})
        assert done.returncode == 1
        [line] = done.stdout.splitlines()
        assert line.startswith(f"ML Metadata: {kind}://tfx@127.0.0.1:1/mlmd cannot be used: ")
        assert "Connection refused" in line and "a-password" not in done.stdout + done.stderr


def test_a_store_that_cannot_be_reached_may_be_retried_and_a_wrong_schema_not(
    make_request: Callable[..., NodeRequest], address: dict[str, Any]
) -> None:
    request = make_request(small.write_and_read(), "Write")
    assert run_node.outcome(request).state == "executed"
    _set_versions(address, 9)
    result = run_node.outcome(make_request(small.write_and_read(), "Write", try_number=2))
    assert result.state == "refused" and result.message.startswith("ML Metadata: sqlite:///")
    address.clear()
    address.update(_NOWHERE, kind="postgresql")
    result = run_node.outcome(make_request(small.write_and_read(), "Write", try_number=3))
    assert result.state == "failed" and len(result.message.splitlines()) == 1
    assert "cannot be used" in result.message and "a-password" not in result.message


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_a_driver_that_repeats_the_password_is_censored(kind: str) -> None:
    error = database.unusable({**_NOWHERE, "kind": kind}, "no user 'tfx'\nwith 'a-password'")
    assert str(error).endswith("cannot be used: no user 'tfx' with '***'")
    assert isinstance(error, MlmdError) and not isinstance(error, MlmdSchemaError)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"sslmode": "disable"}, False),
        ({"sslmode": "prefer"}, None),
        ({"sslmode": "require"}, (ssl.CERT_NONE, False)),
        ({"sslmode": "verify-ca"}, (ssl.CERT_REQUIRED, False)),
        ({"sslmode": "verify-full"}, (ssl.CERT_REQUIRED, True)),
    ],
    ids=str,
)
def test_tls_is_what_libpq_makes_of_the_options(options: dict[str, Any], expected: object) -> None:
    context = database.tls(options)
    if isinstance(context, ssl.SSLContext):
        assert (context.verify_mode, context.check_hostname) == expected
    else:
        assert context is expected


def test_a_writer_that_was_killed_in_a_transaction_does_not_stop_the_next(address: dict[str, Any]) -> None:
    setup.init(address)
    subprocess.run([sys.executable, "-c", killed_writer.CODE, address["path"]], timeout=60)
    assert os.path.getsize(address["path"] + "-journal") > 0
    schema.check(address)
    assert setup.status(address).endswith("version 10; 0 pipelines, 0 runs, 0 executions, 0 artifacts")

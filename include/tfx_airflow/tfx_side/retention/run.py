"""`python -m include.tfx_airflow.tfx_side.retention.run`: plans what to delete, or does it.

Reads a request as JSON from standard input, because the store's address may contain a password; answers in JSON.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from typing import Any

from include.tfx_airflow.contract.errors import TfxAirflowError
from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.mlmd import schema
from include.tfx_airflow.tfx_side.retention import marks, plan
from include.tfx_airflow.tfx_side.retention.carry_out import Retention


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Does what a request asks for.

    Args:
      request: `action` (plan, apply, pin, unpin, restore), `mlmd` (address), `roots`, `home`, `folder` of plans, and `keep`
        (plan), `hash` (apply) or `ids`.

    Raises:
      TfxAirflowError: It cannot be done.
    """
    address, roots, home = request["mlmd"], request["roots"], request["home"]
    schema.check(address)
    if schema.version(address) is None:
        return {"message": "The store does not exist yet: there is nothing to delete."}
    action = request["action"]
    if action == "plan":
        made = plan.make(address, roots, home, Keep(**request["keep"]))
        path = made.write(request["folder"])
        return {
            "plan": path,
            "hash": made.hash,
            "totals": made.totals,
            "rows": made.rows,
            "notes": made.notes,
        }
    if action == "apply":
        wanted = plan.read(request["folder"], request["hash"])
        done = Retention(address, roots, home, Keep(**wanted.keep)).carry_out(wanted)
        return {"done": dataclasses.asdict(done)}
    ids = request["ids"]
    if action == "restore":
        for id_ in ids:
            Retention(address, roots, home, Keep()).restore(id_)
        return {"message": f"Restored and pinned: {', '.join(map(str, ids))}."}
    marks.pin(address, ids, pinned=action == "pin")
    return {"message": f"{'Pinned' if action == 'pin' else 'No longer pinned'}: {', '.join(map(str, ids))}."}


def main() -> int:
    """Answers the request on standard input; returns the exit code."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    request = json.load(sys.stdin)
    os.environ.update(request.pop("environment", {}))
    try:
        print(json.dumps(answer(request)))
    except TfxAirflowError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

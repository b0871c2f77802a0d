"""include/pod-template.yaml, made into a task's pod by the Kubernetes provider's own generator."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.bundle import ROOT, STATE

_PROVIDER = STATE / "kubernetes"
# As the executor does: the template, what every pod gets, what the task's executor_config asks for.
_RENDER = """
import json, sys
from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_utils import get_base_pod_from_template
from airflow.providers.cncf.kubernetes.kube_config import KubeConfig
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from include.tfx_airflow import NodeConfig
from kubernetes import client as k8s

gpu = k8s.V1ResourceRequirements(limits={"nvidia.com/gpu": "1"})
container = k8s.V1Container(name="base", resources=gpu)
override = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[container], node_selector={"gpu": "yes"}))
config = NodeConfig(executor_config={"pod_override": override}).arguments()["executor_config"]
for chosen in (None, config["pod_override"]):
    pod = PodGenerator.construct_pod(
        dag_id="taxi", task_id="Trainer", pod_id="taxi-trainer", try_number=1, kube_image=KubeConfig().kube_image, date=None,
        args=["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"],
        pod_override_object=chosen, base_worker_pod=get_base_pod_from_template(None, KubeConfig()), namespace="tfx",
        scheduler_job_id="1", run_id="a_run",
    )
    print("POD" + json.dumps(PodGenerator.serialize_pod(pod)))
"""


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two pods: one as any node's, one whose NodeConfig asks for a GPU."""
    if not (_PROVIDER / "kubernetes").is_dir():
        pytest.skip("the Kubernetes provider needs Airflow on Python 3.11 or later")
    done = subprocess.run(
        [STATE / "airflow" / "bin" / "python", "-c", _RENDER],
        env={
            "PYTHONPATH": f"{ROOT}:{_PROVIDER}",
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": str(ROOT / "include" / "pod-template.yaml"),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("POD")]


def test_a_pod_runs_one_task_in_the_image_with_shared_folders_and_few_rights(
    pods: list[dict[str, Any]],
) -> None:
    pod = pods[0]
    [container] = pod["spec"]["containers"]
    assert container["image"] == "REGISTRY/tfx-airflow:3.3.2-1.21.0"
    assert container["args"][:3] == ["python", "-m", "airflow.sdk.execution_time.execute_workload"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["AIRFLOW_IS_K8S_EXECUTOR_POD"] == "True"  # by which the node server is off
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "KubernetesExecutor"
    assert not [name for name in environment if "PASSWORD" in name or "CONN" in name]
    assert container["envFrom"] == [{"secretRef": {"name": "airflow"}}]
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
        "tfx": "/opt/airflow/tfx",
        "logs": "/opt/airflow/logs",
    }
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {"tfx", "logs"}
    assert pod["spec"]["securityContext"]["runAsNonRoot"] and pod["spec"]["restartPolicy"] == "Never"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["terminationGracePeriodSeconds"] > 10  # [tfx_airflow] kill_grace
    assert pod["metadata"]["labels"]["task_id"] == "Trainer" and pod["metadata"]["namespace"] == "tfx"


def test_a_node_that_asks_for_more_gets_it_and_keeps_the_rest(pods: list[dict[str, Any]]) -> None:
    plain, larger = (pod["spec"] for pod in pods)
    assert larger.pop("nodeSelector") == {"gpu": "yes"}
    resources = larger["containers"][0].pop("resources")
    assert resources["limits"] == {"nvidia.com/gpu": "1"}
    plain["containers"][0].pop("resources")
    assert larger == plain

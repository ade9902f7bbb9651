"""The values for Dagster's Helm chart have the names and the types that the chart takes.

Belongs here: the part of the chart's schema that `deploy/kubernetes-values.yaml` uses, stated anew, and its refusals.
Does not: whether the values agree with the manifests (`test_deployed.py`). Helm itself is not here, so no template is
rendered.

Source: the models from which `helm/dagster/values.schema.json` of the repository dagster-io/dagster is generated, in
`helm/dagster/schema/schema/charts`, as read on 2026-11-30 in a stored copy without the version 1.13.27. The chart
completes maps with its defaults, so that of a map nothing is required; a list replaces the chart's, so that its items
are whole. Objects of Kubernetes are those of its own client, which knows every field of them.
"""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

import pytest
import yaml
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes.client import models
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError
from pydantic.alias_generators import to_camel

from tests.support.composed import DEPLOY


def of_kubernetes(model: type[Any]) -> BeforeValidator:
    """A mapping that is this object of Kubernetes; an unknown field of it, or of what it holds, is refused."""

    def read(value: dict[str, Any]) -> dict[str, Any]:
        try:
            k8s_model_from_dict(model, k8s_snake_case_dict(model, value))
        except Exception as error:  # the client has no narrower one
            raise ValueError(str(error)) from error
        return value

    return BeforeValidator(read)


ConfigMap = Annotated[dict[str, Any], of_kubernetes(models.V1ConfigMapEnvSource)]
Secret = Annotated[dict[str, Any], of_kubernetes(models.V1SecretEnvSource)]
Volume = Annotated[dict[str, Any], of_kubernetes(models.V1Volume)]
VolumeMount = Annotated[dict[str, Any], of_kubernetes(models.V1VolumeMount)]
PodSecurityContext = Annotated[dict[str, Any], of_kubernetes(models.V1PodSecurityContext)]
Resources = Annotated[dict[str, Any], of_kubernetes(models.V1ResourceRequirements)]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class Part(BaseModel):
    """A map of the values. The chart refuses unknown names in most of them; here in all."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Image(Part):
    repository: StrictStr
    tag: StrictStr | StrictInt | None = None
    pull_policy: PullPolicy


class WithEnvironment(Part):
    image: Image
    env: dict[str, StrictStr] = {}
    env_config_maps: list[ConfigMap] = []
    env_secrets: list[Secret] = []
    volumes: list[Volume] = []
    volume_mounts: list[VolumeMount] = []
    pod_security_context: PodSecurityContext = {}
    resources: Resources = {}


class Enabled(Part):
    enabled: StrictBool


class Deployment(WithEnvironment):
    name: StrictStr
    port: StrictInt
    code_server_args: list[StrictStr]
    include_config_in_launched_runs: Enabled


class Deployments(Enabled):
    deployments: list[Deployment]


class Service(Part):
    type: StrictStr
    port: StrictInt


class Webserver(WithEnvironment):
    service: Service


class TagLimit(Part):
    key: StrictStr
    limit: StrictInt


class Queue(Part):
    max_concurrent_runs: StrictInt
    tag_concurrency_limits: list[TagLimit]


class QueueConfig(Part):
    queued_run_coordinator: Queue


class Coordinator(Enabled):
    type: Literal["QueuedRunCoordinator"]
    config: QueueConfig


class Daemon(WithEnvironment):
    run_coordinator: Coordinator
    # Any mapping: the chart's template takes what it knows of them.
    run_monitoring: dict[str, Any]
    run_retries: dict[str, Any]


class Launcher(Part):
    image_pull_policy: PullPolicy
    load_incluster_config: StrictBool
    env_config_maps: list[ConfigMap]
    env_secrets: list[Secret]
    env_vars: list[StrictStr]
    volumes: list[Volume]
    volume_mounts: list[VolumeMount]


class LauncherConfig(Part):
    k8s_run_launcher: Launcher = Field(alias="k8sRunLauncher")


class RunLauncher(Part):
    type: Literal["K8sRunLauncher"]
    config: LauncherConfig


class PostgreSQL(Enabled):
    postgresql_host: StrictStr
    postgresql_username: StrictStr
    postgresql_database: StrictStr


class ServiceAccount(Part):
    create: StrictBool
    name: StrictStr


class Global(Part):
    postgresql_secret_name: StrictStr
    dagster_home: StrictStr


class Values(Part):
    of_all_charts: Global = Field(alias="global")
    service_account: ServiceAccount
    generate_postgresql_password_secret: StrictBool
    postgresql: PostgreSQL
    user_deployments: Deployments = Field(alias="dagster-user-deployments")
    dagster_webserver: Webserver
    dagster_daemon: Daemon
    run_launcher: RunLauncher
    telemetry: Enabled


@pytest.fixture
def values() -> dict[str, Any]:
    """Without what anchors of the file share, so that a test changes one place alone."""
    return {name: copy.deepcopy(part) for name, part in read().items()}


def read() -> dict[str, Any]:
    stated = yaml.safe_load((DEPLOY / "kubernetes-values.yaml").read_text())
    assert isinstance(stated, dict)
    return stated


def test_the_values_are_those_that_the_chart_takes(values: dict[str, Any]) -> None:
    Values.model_validate(values)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(("dagsterDaemon", "envConfigMap"), [], id="a name that the chart does not know"),
        pytest.param(("dagsterDaemon", "image", "pullPolicy"), "Sometimes", id="a policy that there is not"),
        pytest.param(("dagsterDaemon", "env", "SCALE"), 3, id="a number in the environment"),
        pytest.param(("runLauncher", "config", "k8sRunLauncher", "envSecrets"), ["taker"], id="a name for a reference"),
        pytest.param(("dagsterWebserver", "service", "port"), "80", id="a port as text"),
        pytest.param(("dagsterDaemon", "volumes", 0, "persistentVolumeClaim", "claim"), "x", id="a field of no volume"),
        pytest.param(("dagster-user-deployments", "deployments", 0, "port"), None, id="a deployment without its port"),
    ],
)
def test_what_the_chart_would_not_take_is_refused(values: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    part: Any = values
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(ValidationError, match=str(path[-1])):
        Values.model_validate(values)

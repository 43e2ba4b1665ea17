"""KubeRay's own fields, as far as our manifests could use them: a JSON schema of RayCluster and RayJob.

Written by hand. Names, types and allowed values are those of KubeRay 1.7.0's field
reference (its docs/reference/api.md, which docs.ray.io shows as "KubeRay CRD API
reference"; ray.io/v1). What is required is read off the Go types of which its CRDs are
made (ray-operator/apis/ray/v1/raycluster_types.go and rayjob_types.go). A few rules are
no part of a CRD; the operator refuses a manifest that breaks them once it is applied
(ray-operator/controllers/ray/utils/validation.go and constant.go): lengths of names,
labels only as the group's own field, values that the CRD takes as any text.

Pod templates are Kubernetes' own and are left to Kubernetes' schemas. A field that is
not here is refused, as `kubectl apply --validate=strict` refuses what the CRD does not
know. `ANY` marks fields that KubeRay has and our manifests do not use.
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
FLAG: dict[str, Any] = {"type": "boolean"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
ANY: dict[str, Any] = {}
POSITIVE: dict[str, Any] = {**COUNT, "minimum": 1}
LABEL = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
"""A label's value, as Kubernetes has it; names are held to the same, without a prefix."""
LABELS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "string", "pattern": LABEL},
    "propertyNames": {"pattern": LABEL, "minLength": 1},
}
START_PARAMETERS: dict[str, Any] = {**TEXTS, "properties": {"labels": False}}
"""Of `ray start`, numbers too as text; the operator refuses `labels` among them."""


def one_of(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


def record(required: tuple[str, ...] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


MANAGERS = one_of("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")
POD_TEMPLATE: dict[str, Any] = {"type": "object", "required": ["spec"]}

AUTOSCALER = record(
    version=one_of("v1", "v2"),
    resources=ANY,
    image=TEXT,
    imagePullPolicy=TEXT,
    securityContext=ANY,
    idleTimeoutSeconds=COUNT,
    upscalingMode=one_of("Default", "Aggressive", "Conservative"),
    env=ANY,
    envFrom=ANY,
    volumeMounts=ANY,
    command=ANY,
    args=ANY,
)

HEAD = record(
    ("template",),
    template=POD_TEMPLATE,
    headService=ANY,
    enableIngress=FLAG,
    ingressOptions=ANY,
    resources=TEXTS,
    labels=LABELS,
    rayStartParams=START_PARAMETERS,
    serviceType=one_of("ClusterIP", "NodePort", "LoadBalancer"),
)

WORKERS = record(
    ("groupName", "template", "minReplicas", "maxReplicas"),
    suspend=FLAG,
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    priority=ANY,
    resources=TEXTS,
    labels=LABELS,
    rayStartParams=START_PARAMETERS,
    template=POD_TEMPLATE,
    scaleStrategy=ANY,
    numOfHosts=COUNT,
)

CLUSTER_SPEC = record(
    ("headGroupSpec",),
    upgradeStrategy=ANY,
    suspend=FLAG,
    managedBy=MANAGERS,
    authOptions=record(mode=one_of("disabled", "token"), enableK8sTokenAuth=FLAG, secretName=TEXT),
    autoscalerOptions=AUTOSCALER,
    headServiceAnnotations=TEXTS,
    enableInTreeAutoscaling=FLAG,
    gcsFaultToleranceOptions=ANY,
    historyServerOptions=ANY,
    networkPolicy=ANY,
    tlsOptions=ANY,
    headGroupSpec=HEAD,
    rayVersion=TEXT,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)

JOB_SPEC = record(
    activeDeadlineSeconds=POSITIVE,
    preRunningDeadlineSeconds=POSITIVE,
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER_SPEC,
    submitterPodTemplate=POD_TEMPLATE,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig=record(backoffLimit=COUNT),
    managedBy=MANAGERS,
    deletionStrategy=ANY,
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    jobId=TEXT,
    submissionMode=one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    entrypointResources=TEXT,
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    ttlSecondsAfterFinished=COUNT,
    shutdownAfterJobFinishes=FLAG,
    suspend=FLAG,
)


def resource(kind: str, spec: dict[str, Any], longest_name: int) -> dict[str, Any]:
    """A whole object of the API group ray.io/v1."""
    name = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": longest_name}
    meta = record(("name",), name=name, labels=TEXTS, annotations=TEXTS, namespace=TEXT)
    return record(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=one_of("ray.io/v1"), kind=one_of(kind), metadata=meta, spec=spec,
    )  # fmt: skip


RAY_CLUSTER = resource("RayCluster", CLUSTER_SPEC, longest_name=53)
RAY_JOB = resource("RayJob", JOB_SPEC, longest_name=47)

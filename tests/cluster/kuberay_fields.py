"""KubeRay's own fields, as far as our manifests could use them: a JSON schema of RayCluster and RayJob.

Written by hand after the field reference of KubeRay 1.7 (docs.ray.io, "KubeRay CRD
API reference"; ray.io/v1). Pod templates are Kubernetes' own and are left to
Kubernetes' schemas. A field that is not here is refused, as `kubectl apply
--validate=strict` refuses what the CRD does not know.
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
FLAG: dict[str, Any] = {"type": "boolean"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
ANY: dict[str, Any] = {}


def one_of(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


def record(required: tuple[str, ...] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


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
)

HEAD = record(
    ("template",),
    template=POD_TEMPLATE,
    headService=ANY,
    enableIngress=FLAG,
    resources=TEXTS,
    labels=TEXTS,
    rayStartParams=TEXTS,
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
    resources=TEXTS,
    labels=TEXTS,
    rayStartParams=TEXTS,
    template=POD_TEMPLATE,
    scaleStrategy=ANY,
    numOfHosts=COUNT,
)

CLUSTER_SPEC = record(
    ("headGroupSpec",),
    suspend=FLAG,
    managedBy=TEXT,
    authOptions=record(mode=one_of("disabled", "token"), enableK8sTokenAuth=FLAG, secretName=TEXT),
    autoscalerOptions=AUTOSCALER,
    headServiceAnnotations=TEXTS,
    enableInTreeAutoscaling=FLAG,
    gcsFaultToleranceOptions=ANY,
    headGroupSpec=HEAD,
    rayVersion=TEXT,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)

JOB_SPEC = record(
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER_SPEC,
    submitterPodTemplate=POD_TEMPLATE,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig=record(backoffLimit=COUNT),
    managedBy=TEXT,
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


def resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A whole object of the API group ray.io/v1."""
    meta = record(("name",), name={"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,45}[a-z0-9])?$"}, labels=TEXTS,
                  annotations=TEXTS, namespace=TEXT)  # fmt: skip
    return record(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=one_of("ray.io/v1"), kind=one_of(kind), metadata=meta, spec=spec,
    )  # fmt: skip


RAY_CLUSTER = resource("RayCluster", CLUSTER_SPEC)
RAY_JOB = resource("RayJob", JOB_SPEC)

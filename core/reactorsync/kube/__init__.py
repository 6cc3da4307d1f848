"""The Kubernetes API over aiohttp: which cluster, how to prove who we are, and requests."""

from reactorsync.kube.client import JsonObject, KubeClient
from reactorsync.kube.cluster import Cluster, load_cluster
from reactorsync.kube.errors import ApiError, ApiUnavailable, KubeConfigError
from reactorsync.kube.session import open_session

__all__ = [
    "ApiError",
    "ApiUnavailable",
    "Cluster",
    "JsonObject",
    "KubeClient",
    "KubeConfigError",
    "load_cluster",
    "open_session",
]

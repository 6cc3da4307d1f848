"""The edge to Kubernetes: kopf watches, and what it tells only marks what is to be planned."""

"""Roadstead: real, highly available Kubernetes behind the AWS EKS API, on one Linux machine."""

__version__ = "0.1.0"

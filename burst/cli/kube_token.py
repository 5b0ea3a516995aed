"""``burst kube-token``: what kubectl asks for a login to GKE."""

from __future__ import annotations

from burst.cli import console


def kube_token() -> None:
    """Print a login to Google Cloud as kubectl wants it of a credential plugin.

    A kubeconfig for GKE names it as its exec command; burst up does so where Google's own plugin
    is not installed.
    """
    from burst.cloud.token import kube_credential

    console.say(kube_credential())

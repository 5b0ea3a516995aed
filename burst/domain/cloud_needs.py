"""What a farm needs of a project of Google Cloud: APIs, permissions, and roles that have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FIRST_APIS = ("serviceusage.googleapis.com", "cloudresourcemanager.googleapis.com")
"""Without these nothing can switch on the others."""

APIS = (
    *FIRST_APIS,
    "artifactregistry.googleapis.com",
    "cloudbilling.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "containerfilesystem.googleapis.com",
    "dns.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "storage.googleapis.com",
)
"""All that a farm needs; `burst up` has Terraform switch them on."""

ROLES: Mapping[str, tuple[str, ...]] = {
    "roles/artifactregistry.admin": (
        "artifactregistry.repositories.create",
        "artifactregistry.repositories.delete",
        "artifactregistry.repositories.list",
        "artifactregistry.repositories.setIamPolicy",
        "artifactregistry.repositories.uploadArtifacts",
    ),
    "roles/compute.networkAdmin": (
        "compute.networks.create",
        "compute.networks.delete",
        "compute.subnetworks.create",
        "compute.subnetworks.delete",
    ),
    "roles/compute.viewer": (
        "compute.addresses.list",
        "compute.backendServices.list",
        "compute.disks.list",
        "compute.firewalls.list",
        "compute.forwardingRules.list",
        "compute.healthChecks.list",
        "compute.images.list",
        "compute.instanceGroupManagers.list",
        "compute.instanceGroups.list",
        "compute.instanceTemplates.list",
        "compute.instances.list",
        "compute.machineTypes.get",
        "compute.networkEndpointGroups.list",
        "compute.networks.list",
        "compute.projects.get",
        "compute.regions.get",
        "compute.routers.list",
        "compute.routes.list",
        "compute.snapshots.list",
        "compute.subnetworks.list",
        "compute.targetPools.list",
    ),
    "roles/container.admin": (
        "container.clusters.create",
        "container.clusters.delete",
        "container.clusters.get",
        "container.clusters.list",
        "container.clusters.update",
        "container.operations.get",
    ),
    "roles/dns.admin": (
        "dns.changes.create",
        "dns.managedZones.create",
        "dns.managedZones.delete",
        "dns.managedZones.list",
        "dns.networks.bindPrivateDNSZone",
        "dns.resourceRecordSets.create",
    ),
    "roles/iam.roleAdmin": (
        "iam.roles.create",
        "iam.roles.delete",
        "iam.roles.list",
        "iam.roles.undelete",
    ),
    "roles/iam.serviceAccountAdmin": (
        "iam.serviceAccounts.create",
        "iam.serviceAccounts.delete",
        "iam.serviceAccounts.list",
        "iam.serviceAccounts.setIamPolicy",
    ),
    "roles/iam.serviceAccountUser": ("iam.serviceAccounts.actAs",),
    "roles/resourcemanager.projectIamAdmin": (
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
    "roles/serviceusage.serviceUsageAdmin": (
        "serviceusage.services.enable",
        "serviceusage.services.list",
        "serviceusage.services.use",
    ),
    "roles/storage.admin": (
        "storage.buckets.create",
        "storage.buckets.delete",
        "storage.buckets.get",
        "storage.buckets.getIamPolicy",
        "storage.buckets.list",
        "storage.buckets.setIamPolicy",
        "storage.objects.create",
        "storage.objects.delete",
        "storage.objects.get",
        "storage.objects.list",
    ),
}
"""Role → what of it a farm needs to be made, used and removed."""

PERMISSIONS = tuple(sorted({one for needed in ROLES.values() for one in needed}))


def roles_for(missing: Iterable[str]) -> list[str]:
    """Return the roles that have the missing permissions."""
    wanted = set(missing)
    return [role for role, needed in ROLES.items() if wanted & set(needed)]

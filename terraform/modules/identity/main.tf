# Who the farm's parts are, and the little that each may do. There is no key anywhere: nodes have a
# service account, and pods are their Kubernetes service accounts by workload identity.

locals {
  # The charts' service accounts, and that of the Job that takes the cluster down.
  accounts = toset(["hibernate", "manager", "worker"])

  principals = {
    for account in local.accounts : account => join("", [
      "principal://iam.googleapis.com/projects/${var.project_number}/locations/global",
      "/workloadIdentityPools/${var.workload_pool}",
      "/subject/ns/${var.namespace}/sa/${var.farm}-${account}",
    ])
  }

  objects = "projects/_/buckets/${var.bucket}/objects"
}

resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.farm}-nodes"
  display_name = "Nodes of the burst farm ${var.farm}"
}

resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = "serviceAccount:${google_service_account.nodes.email}"
}

resource "google_storage_bucket_iam_member" "manager" {
  bucket = var.bucket
  role   = "roles/storage.objectUser"
  member = local.principals["manager"]
}

resource "google_storage_bucket_iam_member" "worker_reads" {
  bucket = var.bucket
  role   = "roles/storage.objectViewer"
  member = local.principals["worker"]
}

# Scenes may run code on workers: it can't touch scenes, logs or another farm's pledges.
resource "google_storage_bucket_iam_member" "worker_writes" {
  bucket = var.bucket
  role   = "roles/storage.objectUser"
  member = local.principals["worker"]

  condition {
    title      = "${var.farm}-worker-writes"
    expression = join(" || ", [for folder in ["attempts", "previews", "renders"] : "resource.name.startsWith(\"${local.objects}/${folder}/\")"])
  }
}

resource "google_project_iam_custom_role" "hibernate" {
  project = var.project
  # Ids of roles have no hyphens.
  role_id     = "${replace(var.farm, "-", "_")}_hibernate"
  title       = "burst farm ${var.farm}: hibernate"
  description = "Delete the cluster, and see that it is done."
  permissions = ["container.clusters.delete", "container.clusters.get", "container.operations.get"]
}

resource "google_project_iam_member" "hibernate" {
  project = var.project
  role    = google_project_iam_custom_role.hibernate.name
  member  = local.principals["hibernate"]

  # Roles are a project's; this one is for one cluster of it.
  condition {
    title      = "${var.farm}-hibernate"
    expression = "resource.type != \"container.googleapis.com/Cluster\" || resource.name.endsWith(\"/clusters/${var.farm}\")"
  }
}

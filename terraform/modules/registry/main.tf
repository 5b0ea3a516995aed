# Where the farm's images lie: beside its nodes, since image streaming takes no other place.

resource "google_artifact_registry_repository" "images" {
  # checkov:skip=CKV_GCP_84: a key of one's own bills by the month, and images hold nothing secret
  project                = var.project
  location               = var.region
  repository_id          = var.farm
  description            = "Images of the burst farm ${var.farm}"
  format                 = "DOCKER"
  labels                 = var.labels
  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "${min(var.delete_days, 7) * 86400}s"
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "${var.delete_days * 86400}s"
    }
  }

  # Counts more than the others.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.keep
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = var.readers

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.reader"
  member     = each.value
}

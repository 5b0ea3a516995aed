# Where scenes, frames and logs live. Only what burst can make again expires by itself.

resource "google_storage_bucket" "data" {
  # checkov:skip=CKV_GCP_62: a log of each read of each worker would be larger than many a scene
  # checkov:skip=CKV_GCP_78: blobs never change and frames are never overwritten; old versions would only go on costing
  project                     = var.project
  name                        = var.bucket
  location                    = var.region
  storage_class               = "STANDARD"
  labels                      = var.labels
  force_destroy               = var.force_destroy
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # By default deleted files are kept, and billed, for a week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # What dead workers and dead uploads leave behind.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.attempt_days
      matches_prefix = ["attempts/", "incoming/"]
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = var.attempt_days
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.preview_days
      matches_prefix = ["previews/"]
    }
  }
}

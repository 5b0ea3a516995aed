# What outlives the farm: the bucket with scenes, frames and logs.

provider "google" {
  project       = var.project
  region        = var.region
  poll_interval = var.poll_interval
}

module "storage" {
  source = "../modules/storage"

  attempt_days  = var.attempt_days
  bucket        = var.bucket
  force_destroy = var.force_destroy
  labels        = merge(var.labels, { burst-farm = var.farm })
  preview_days  = var.preview_days
  project       = var.project
  region        = var.region
}

terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

module "storage" {
  source = "../.."

  bucket       = "my-project-studio-data"
  labels       = { burst-farm = "studio" }
  preview_days = 14
  project      = "my-project"
  region       = "europe-west4"
}

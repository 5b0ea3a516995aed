terraform {
  required_version = ">= 1.9"

  # Bucket and prefix are said by whoever runs init.
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "= 7.45.0"
    }
  }
}

terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

module "registry" {
  source = "../.."

  farm    = "studio"
  labels  = { burst-farm = "studio" }
  project = "my-project"
  readers = { nodes = "serviceAccount:studio-nodes@my-project.iam.gserviceaccount.com" }
  region  = "europe-west4"
}

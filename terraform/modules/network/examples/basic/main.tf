terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

module "network" {
  source = "../.."

  farm    = "studio"
  labels  = { burst-farm = "studio" }
  project = "my-project"
  ranges  = { nodes = "10.20.0.0/22" }
  region  = "europe-west4"
}

terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

module "pool" {
  source = "../.."

  cluster      = "studio"
  labels       = { burst-farm = "studio" }
  name         = "gpu"
  node_account = "studio-nodes@my-project.iam.gserviceaccount.com"
  pool = {
    machine    = "g2-standard-8"
    maximum    = 40
    gpu_type   = "nvidia-l4"
    gpus       = 1
    gpu_driver = "LATEST"
    zones      = ["europe-west4-a", "europe-west4-b"]
  }
  project = "my-project"
  zone    = "europe-west4-a"
}

terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

module "cluster" {
  source = "../.."

  farm           = "studio"
  labels         = { burst-farm = "studio" }
  network        = "projects/my-project/global/networks/studio"
  node_account   = "studio-nodes@my-project.iam.gserviceaccount.com"
  pods_range     = "pods"
  project        = "my-project"
  services_range = "services"
  subnetwork     = "projects/my-project/regions/europe-west4/subnetworks/studio-nodes"
  zone           = "europe-west4-a"
}

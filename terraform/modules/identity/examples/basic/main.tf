terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

module "identity" {
  source = "../.."

  bucket         = "my-project-studio-data"
  farm           = "studio"
  namespace      = "studio"
  project        = "my-project"
  project_number = "123456789012"
  workload_pool  = "my-project.svc.id.goog"
}

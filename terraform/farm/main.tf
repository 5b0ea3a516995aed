# What comes and goes with a farm: network, cluster, pools, identities and registry.

provider "google" {
  project       = var.project
  region        = var.region
  zone          = var.zone
  poll_interval = var.poll_interval
}

locals {
  labels    = merge(var.labels, { burst-farm = var.farm })
  namespace = coalesce(var.namespace, var.farm)

  apis = toset([
    "artifactregistry", "cloudresourcemanager", "compute", "container", "containerfilesystem", "dns", "iam",
    "iamcredentials", "logging", "monitoring", "storage",
  ])
}

data "google_project" "this" {
  project_id = var.project
}

resource "google_project_service" "this" {
  for_each = local.apis

  project = var.project
  service = "${each.key}.googleapis.com"
  # Others of the project may use it.
  disable_on_destroy = false
}

module "network" {
  source     = "../modules/network"
  depends_on = [google_project_service.this]

  farm    = var.farm
  labels  = local.labels
  project = var.project
  ranges  = var.ranges
  region  = var.region
}

module "identity" {
  source     = "../modules/identity"
  depends_on = [google_project_service.this]

  bucket         = var.bucket
  farm           = var.farm
  namespace      = local.namespace
  project        = var.project
  project_number = data.google_project.this.number
  workload_pool  = module.cluster.workload_pool
}

module "registry" {
  source     = "../modules/registry"
  depends_on = [google_project_service.this]

  farm    = var.farm
  labels  = local.labels
  project = var.project
  readers = { nodes = "serviceAccount:${module.identity.node_account}" }
  region  = var.region
}

module "cluster" {
  source = "../modules/cluster"

  deletion_protection = var.deletion_protection
  farm                = var.farm
  labels              = local.labels
  machine             = var.system_machine
  network             = module.network.network
  node_account        = module.identity.node_account
  pods_range          = module.network.pods_range
  project             = var.project
  services_range      = module.network.services_range
  subnetwork          = module.network.subnetwork
  zone                = var.zone
}

module "pool" {
  source   = "../modules/node-pool"
  for_each = var.pools

  cluster      = module.cluster.name
  labels       = local.labels
  name         = each.key
  node_account = module.identity.node_account
  pool         = each.value
  project      = var.project
  zone         = var.zone
}

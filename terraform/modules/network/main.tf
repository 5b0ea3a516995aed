# The farm's own network. Nodes have no address outside of it and there is no NAT: Private Google
# Access alone reaches Google's APIs, and the rest of the world can't be reached at all.

locals {
  # private.googleapis.com: all of Google's APIs, and nothing else. The charts' network policies
  # let pods go to these addresses only, so every name of an API must lead there.
  apis = ["199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11"]

  # The name that has the addresses, by domain; the rest of the domain is another name for it.
  domains = {
    "gcr.io"         = "gcr.io."
    "googleapis.com" = "private.googleapis.com."
    "pkg.dev"        = "pkg.dev."
  }
}

resource "google_compute_network" "this" {
  # checkov:skip=CKV2_GCP_18: nothing may come in by a network's own rule; GKE adds what its nodes need among themselves
  project                 = var.project
  name                    = var.farm
  description             = "burst farm ${var.farm}"
  auto_create_subnetworks = false
  # The route to the internet is also the one to Google's APIs.
  delete_default_routes_on_create = false
}

resource "google_compute_subnetwork" "nodes" {
  # checkov:skip=CKV_GCP_26: flow logs of a thousand workers that read a bucket cost more than their machines' disks, and tell who reads the bucket
  project                  = var.project
  name                     = "${var.farm}-nodes"
  description              = "Nodes, pods and services of the burst farm ${var.farm}"
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.ranges.nodes
  private_ip_google_access = true
  stack_type               = "IPV4_ONLY"

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.ranges.pods
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.ranges.services
  }
}

resource "google_dns_managed_zone" "apis" {
  for_each = local.domains

  project     = var.project
  name        = "${var.farm}-${replace(each.key, ".", "-")}"
  description = "Google's APIs at the private range, for the burst farm ${var.farm}"
  dns_name    = "${each.key}."
  labels      = var.labels
  visibility  = "private"

  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }
}

resource "google_dns_record_set" "addresses" {
  for_each = local.domains

  project      = var.project
  managed_zone = google_dns_managed_zone.apis[each.key].name
  name         = each.value
  type         = "A"
  ttl          = 300
  rrdatas      = local.apis
}

resource "google_dns_record_set" "names" {
  for_each = local.domains

  project      = var.project
  managed_zone = google_dns_managed_zone.apis[each.key].name
  name         = "*.${each.key}."
  type         = "CNAME"
  ttl          = 300
  rrdatas      = [each.value]
}

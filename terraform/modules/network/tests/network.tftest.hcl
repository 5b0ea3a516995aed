# What plans of the network are, and which variables are refused.

mock_provider "google" {
  mock_resource "google_compute_network" {
    defaults = { id = "projects/my-project/global/networks/studio" }
  }
  mock_resource "google_compute_subnetwork" {
    defaults = { id = "projects/my-project/regions/europe-west4/subnetworks/studio-nodes" }
  }
}

variables {
  farm    = "studio"
  labels  = { burst-farm = "studio", team = "film" }
  project = "my-project"
  ranges  = {}
  region  = "europe-west4"
}

run "example" {
  command = apply

  module {
    source = "./examples/basic"
  }
}

run "it_reaches_google_and_nothing_else" {
  command = plan

  assert {
    condition     = google_compute_network.this.auto_create_subnetworks == false
    error_message = "every region would get a subnetwork"
  }

  assert {
    condition     = google_compute_subnetwork.nodes.private_ip_google_access
    error_message = "nodes without an address need Private Google Access"
  }

  assert {
    condition     = toset(keys(google_dns_managed_zone.apis)) == toset(["gcr.io", "googleapis.com", "pkg.dev"])
    error_message = "names of APIs or of images lead elsewhere"
  }

  assert {
    condition     = alltrue([for zone in google_dns_managed_zone.apis : zone.visibility == "private" && zone.labels["burst-farm"] == "studio" && zone.labels["team"] == "film"])
    error_message = "a zone is public, or has no labels"
  }

  assert {
    condition     = alltrue([for record in google_dns_record_set.addresses : record.rrdatas == tolist(["199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11"])])
    error_message = "these are not the addresses of private.googleapis.com, which the charts allow"
  }

  assert {
    condition     = google_dns_record_set.names["googleapis.com"].name == "*.googleapis.com." && one(google_dns_record_set.names["googleapis.com"].rrdatas) == "private.googleapis.com."
    error_message = "storage.googleapis.com leads elsewhere"
  }

  assert {
    condition     = alltrue([for name, zone in google_dns_managed_zone.apis : google_dns_record_set.addresses[name].name == one(google_dns_record_set.names[name].rrdatas)])
    error_message = "a name leads to a name that has no address"
  }

  assert {
    condition     = alltrue([for name in concat([google_compute_network.this.name, google_compute_subnetwork.nodes.name], values(google_dns_managed_zone.apis)[*].name) : startswith(name, "studio")])
    error_message = "a name does not begin with the farm's"
  }
}

run "ranges_of_ones_own" {
  command = plan
  variables {
    ranges = { nodes = "172.16.0.0/22" }
  }

  assert {
    condition     = google_compute_subnetwork.nodes.ip_cidr_range == "172.16.0.0/22"
    error_message = "nodes have another range"
  }

  assert {
    condition     = google_compute_subnetwork.nodes.secondary_ip_range[0].ip_cidr_range == "10.64.0.0/14"
    error_message = "one range that is said changes the others"
  }
}

run "a_name_with_capitals" {
  command = plan
  variables {
    farm = "Studio"
  }
  expect_failures = [var.farm]
}

run "a_name_that_is_too_long" {
  command = plan
  variables {
    farm = "a-very-long-name-of-a-farm"
  }
  expect_failures = [var.farm]
}

run "a_name_that_ends_in_a_hyphen" {
  command = plan
  variables {
    farm = "studio-"
  }
  expect_failures = [var.farm]
}

run "labels_that_say_nothing_of_the_farm" {
  command = plan
  variables {
    labels = { team = "film" }
  }
  expect_failures = [var.labels]
}

run "a_number_for_a_project" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "a_zone_for_a_region" {
  command = plan
  variables {
    region = "europe-west4-a"
  }
  expect_failures = [var.region]
}

run "a_range_that_is_none" {
  command = plan
  variables {
    ranges = { pods = "10.64.0.0" }
  }
  expect_failures = [var.ranges]
}

run "a_range_that_begins_in_its_middle" {
  command = plan
  variables {
    ranges = { nodes = "10.10.0.1/20" }
  }
  expect_failures = [var.ranges]
}

run "a_range_of_the_internet" {
  command = plan
  variables {
    ranges = { nodes = "8.8.0.0/20" }
  }
  expect_failures = [var.ranges]
}

run "a_range_just_outside_of_the_private_ones" {
  command = plan
  variables {
    ranges = { nodes = "172.32.0.0/20" }
  }
  expect_failures = [var.ranges]
}

run "ranges_that_overlap" {
  command = plan
  variables {
    ranges = { nodes = "10.65.0.0/20" }
  }
  expect_failures = [var.ranges]
}

# The root farm as a whole, and which variables are refused.

mock_provider "google" {
  mock_resource "google_compute_network" {
    defaults = { id = "projects/my-project/global/networks/studio" }
  }
  mock_resource "google_compute_subnetwork" {
    defaults = { id = "projects/my-project/regions/europe-west4/subnetworks/studio-nodes" }
  }
  mock_resource "google_container_cluster" {
    defaults = {
      id = "projects/my-project/locations/europe-west4-a/clusters/studio"
      control_plane_endpoints_config = {
        dns_endpoint_config = { endpoint = "gke-1234.europe-west4.gke.goog" }
      }
    }
  }
  mock_resource "google_project_iam_custom_role" {
    defaults = { name = "projects/my-project/roles/studio_hibernate" }
  }
  mock_resource "google_service_account" {
    defaults = { email = "studio-nodes@my-project.iam.gserviceaccount.com" }
  }
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  bucket  = "my-project-studio-data"
  farm    = "studio"
  project = "my-project"
  region  = "europe-west4"
  zone    = "europe-west4-a"
}

run "all_of_it" {
  command = apply
  variables {
    pools = {
      cpu = { machine = "n2d-standard-8" }
      gpu = { machine = "g2-standard-8", gpu_type = "nvidia-l4", gpus = 1, gpu_driver = "LATEST" }
    }
  }

  assert {
    condition     = output.cluster.name == "studio" && output.cluster.location == "europe-west4-a"
    error_message = "burst is told of another cluster"
  }

  assert {
    condition     = output.pools == { cpu = "cpu", gpu = "gpu" }
    error_message = "burst is told of other pools"
  }

  assert {
    condition     = output.project_number == "123456789012"
    error_message = "burst is told of another project"
  }

  assert {
    condition     = output.registry == "europe-west4-docker.pkg.dev/my-project/studio"
    error_message = "burst is told of another registry"
  }

  assert {
    condition     = endswith(output.service_accounts["worker"], "/ns/studio/sa/studio-worker")
    error_message = "the farm's name is not the namespace"
  }

  assert {
    condition     = alltrue([for api in google_project_service.this : api.disable_on_destroy == false])
    error_message = "an API that others use would be turned off"
  }
}

run "no_pools" {
  command = plan

  assert {
    condition     = length(output.pools) == 0
    error_message = "there are pools"
  }
}

run "a_namespace_of_its_own" {
  command = plan
  variables {
    namespace = "renders"
  }

  assert {
    condition     = endswith(output.service_accounts["manager"], "/ns/renders/sa/studio-manager")
    error_message = "it has another namespace"
  }
}

run "null_is_what_goes_without_saying" {
  command = plan
  variables {
    deletion_protection = null
    labels              = null
    namespace           = null
    poll_interval       = null
    pools               = null
    ranges              = null
    system_machine      = null
  }

  assert {
    condition     = length(output.pools) == 0 && endswith(output.service_accounts["worker"], "/ns/studio/sa/studio-worker")
    error_message = "null is something else"
  }
}

run "as_much_as_the_ranges_hold" {
  command = plan
  variables {
    pools = { cpu = { machine = "n2d-standard-8", maximum = 4087 } }
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

run "a_zone_of_another_region" {
  command = plan
  variables {
    zone = "europe-west1-b"
  }
  expect_failures = [var.zone]
}

run "a_region_for_a_zone" {
  command = plan
  variables {
    zone = "europe-west4"
  }
  expect_failures = [var.zone]
}

run "a_bucket_with_capitals" {
  command = plan
  variables {
    bucket = "Frames"
  }
  expect_failures = [var.bucket]
}

run "a_namespace_with_capitals" {
  command = plan
  variables {
    namespace = "Renders"
  }
  expect_failures = [var.namespace]
}

run "too_small_a_system_machine" {
  command = plan
  variables {
    system_machine = "e2-micro"
  }
  expect_failures = [var.system_machine]
}

run "a_label_of_ours" {
  command = plan
  variables {
    labels = { burst-farm = "other" }
  }
  expect_failures = [var.labels]
}

run "ranges_that_overlap" {
  command = plan
  variables {
    ranges = { services = "10.10.8.0/21" }
  }
  expect_failures = [var.ranges]
}

run "an_interval_that_is_none" {
  command = plan
  variables {
    poll_interval = "often"
  }
  expect_failures = [var.poll_interval]
}

run "a_pool_of_the_systems_name" {
  command = plan
  variables {
    pools = { system = { machine = "n2d-standard-8" } }
  }
  expect_failures = [var.pools]
}

run "a_pool_with_capitals" {
  command = plan
  variables {
    pools = { CPU = { machine = "n2d-standard-8" } }
  }
  expect_failures = [var.pools]
}

run "a_pool_in_another_region" {
  command = plan
  variables {
    pools = { cpu = { machine = "n2d-standard-8", zones = ["us-east1-b"] } }
  }
  expect_failures = [var.pools]
}

run "more_pods_than_the_range_holds" {
  command = plan
  variables {
    pools  = { cpu = { machine = "n2d-standard-8", maximum = 900 } }
    ranges = { pods = "10.64.0.0/17" }
  }
  expect_failures = [var.pools]
}

run "more_nodes_than_the_range_holds" {
  command = plan
  variables {
    pools  = { cpu = { machine = "n2d-standard-8", maximum = 300 } }
    ranges = { nodes = "10.10.0.0/24" }
  }
  expect_failures = [var.pools]
}

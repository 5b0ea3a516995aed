# What plans of the cluster are, and which variables are refused.

mock_provider "google" {
  mock_resource "google_container_cluster" {
    defaults = { id = "projects/my-project/locations/europe-west4-a/clusters/studio" }
  }
}

variables {
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

run "example" {
  command = apply

  module {
    source = "./examples/basic"
  }
}

run "it_is_one_cheap_private_cluster" {
  command = plan

  assert {
    condition     = google_container_cluster.this.location == "europe-west4-a"
    error_message = "a regional cluster is never free of its fee"
  }

  assert {
    condition     = google_container_cluster.this.remove_default_node_pool && google_container_cluster.this.node_config[0].disk_type == "pd-standard" && google_container_cluster.this.node_config[0].disk_size_gb == 30
    error_message = "the first pool stays, or takes of the quota of SSDs"
  }

  assert {
    condition     = google_container_cluster.this.deletion_protection == false
    error_message = "it could not be destroyed"
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "nodes would have addresses that bill"
  }

  assert {
    condition     = google_container_cluster.this.control_plane_endpoints_config[0].dns_endpoint_config[0].allow_external_traffic && google_container_cluster.this.control_plane_endpoints_config[0].ip_endpoints_config[0].enabled == false
    error_message = "it is reached by an address, or not at all"
  }

  assert {
    condition     = google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "network policies would not hold"
  }

  assert {
    condition     = google_container_cluster.this.networking_mode == "VPC_NATIVE"
    error_message = "it is not VPC-native"
  }

  assert {
    condition     = google_container_cluster.this.workload_identity_config[0].workload_pool == "my-project.svc.id.goog"
    error_message = "pods could not be anybody"
  }

  assert {
    condition     = google_container_cluster.this.enable_shielded_nodes
    error_message = "nodes are not shielded"
  }

  assert {
    condition     = google_container_cluster.this.enable_legacy_abac == false && google_container_cluster.this.master_auth[0].client_certificate_config[0].issue_client_certificate == false && google_container_cluster.this.anonymous_authentication_config[0].mode == "LIMITED"
    error_message = "there is another way in"
  }

  assert {
    condition     = google_container_cluster.this.addons_config[0].gcs_fuse_csi_driver_config[0].enabled
    error_message = "the bucket could not be mounted"
  }

  assert {
    condition     = google_container_cluster.this.addons_config[0].http_load_balancing[0].disabled
    error_message = "it could make load balancers, which stay when it goes"
  }

  assert {
    condition     = google_container_cluster.this.cluster_autoscaling[0].autoscaling_profile == "OPTIMIZE_UTILIZATION" && google_container_cluster.this.cluster_autoscaling[0].enabled == false
    error_message = "nodes stay longer, or come by themselves"
  }

  assert {
    condition     = google_container_cluster.this.logging_config[0].enable_components == tolist(["SYSTEM_COMPONENTS"]) && google_container_cluster.this.monitoring_config[0].managed_prometheus[0].enabled == false
    error_message = "workers' logs or figures would be billed"
  }

  assert {
    condition     = google_container_cluster.this.resource_labels["burst-farm"] == "studio"
    error_message = "it can not be found by its label"
  }
}

run "the_system_pool_is_one_node_that_stays" {
  command = plan

  assert {
    condition     = google_container_node_pool.system.node_count == 1 && google_container_node_pool.system.node_config[0].machine_type == "e2-standard-2"
    error_message = "there are more nodes, or others"
  }

  assert {
    condition     = google_container_node_pool.system.node_config[0].spot != true
    error_message = "the manager would be taken away"
  }

  assert {
    condition     = google_container_node_pool.system.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA"
    error_message = "pods could be the node"
  }

  assert {
    condition     = google_container_node_pool.system.node_config[0].service_account == "studio-nodes@my-project.iam.gserviceaccount.com"
    error_message = "it runs as the default account"
  }

  assert {
    condition     = google_container_node_pool.system.node_config[0].shielded_instance_config[0].enable_secure_boot && google_container_node_pool.system.node_config[0].kubelet_config[0].insecure_kubelet_readonly_port_enabled == "FALSE"
    error_message = "the node is open"
  }

  assert {
    condition     = google_container_node_pool.system.node_config[0].resource_labels["burst-farm"] == "studio"
    error_message = "its machine can not be found by its label"
  }
}

run "protected" {
  command = plan
  variables {
    deletion_protection = true
  }

  assert {
    condition     = google_container_cluster.this.deletion_protection
    error_message = "it can be destroyed"
  }
}

run "a_region_for_a_zone" {
  command = plan
  variables {
    zone = "europe-west4"
  }
  expect_failures = [var.zone]
}

run "too_small_a_machine" {
  command = plan
  variables {
    machine = "e2-medium"
  }
  expect_failures = [var.machine]
}

run "an_arm_machine" {
  command = plan
  variables {
    machine = "t2a-standard-2"
  }
  expect_failures = [var.machine]
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

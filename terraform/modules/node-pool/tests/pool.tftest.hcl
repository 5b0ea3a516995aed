# What plans of worker pools are.

mock_provider "google" {}

variables {
  cluster      = "studio"
  labels       = { burst-farm = "studio" }
  name         = "cpu"
  node_account = "studio-nodes@my-project.iam.gserviceaccount.com"
  pool         = { machine = "n2d-standard-8" }
  project      = "my-project"
  zone         = "europe-west4-a"
}

run "example" {
  command = apply

  module {
    source = "./examples/basic"
  }
}

run "a_pool_that_says_nothing_but_its_machine" {
  command = plan

  assert {
    condition     = google_container_node_pool.this.name == "cpu" && google_container_node_pool.this.cluster == "studio"
    error_message = "it has another name"
  }

  assert {
    condition     = google_container_node_pool.this.initial_node_count == 0 && google_container_node_pool.this.autoscaling[0].total_min_node_count == 0 && google_container_node_pool.this.autoscaling[0].total_max_node_count == 10
    error_message = "it does not begin at zero"
  }

  assert {
    condition     = google_container_node_pool.this.autoscaling[0].location_policy == "ANY"
    error_message = "machines of another zone would not be taken"
  }

  assert {
    condition     = google_container_node_pool.this.node_locations == toset(["europe-west4-a"])
    error_message = "it is elsewhere"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].spot && google_container_node_pool.this.node_config[0].machine_type == "n2d-standard-8" && google_container_node_pool.this.node_config[0].disk_size_gb == 100
    error_message = "it has other machines"
  }

  assert {
    condition     = [for taint in google_container_node_pool.this.node_config[0].taint : "${taint.key}=${taint.value}:${taint.effect}"] == ["cloud.google.com/gke-spot=true:NO_SCHEDULE"]
    error_message = "others' pods would keep it from zero"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].labels["burst/pool"] == "cpu" && google_container_node_pool.this.node_config[0].labels["burst/memory-class"] == "0"
    error_message = "its nodes say nothing of it"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].resource_labels["burst-farm"] == "studio" && google_container_node_pool.this.node_config[0].resource_labels["burst-pool"] == "cpu"
    error_message = "its machines can not be found by their labels"
  }

  assert {
    condition     = length(google_container_node_pool.this.node_config[0].guest_accelerator) == 0 && length(google_container_node_pool.this.node_config[0].ephemeral_storage_local_ssd_config) == 0
    error_message = "it has what nobody asked for"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].max_run_duration == null
    error_message = "it has a life that nobody asked for"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA" && google_container_node_pool.this.node_config[0].service_account == "studio-nodes@my-project.iam.gserviceaccount.com"
    error_message = "pods could be the node"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].shielded_instance_config[0].enable_secure_boot && google_container_node_pool.this.node_config[0].kubelet_config[0].insecure_kubelet_readonly_port_enabled == "FALSE" && google_container_node_pool.this.node_config[0].gcfs_config[0].enabled
    error_message = "nodes are open, or fetch images whole"
  }
}

run "a_pool_that_says_everything" {
  command = plan
  variables {
    pool = {
      machine              = "g2-standard-24"
      maximum              = 40
      spot                 = true
      gpu_type             = "nvidia-l4"
      gpus                 = 2
      gpu_driver           = "LATEST"
      zones                = ["europe-west4-b", "europe-west4-c"]
      disk_gib             = 200
      disk_type            = "pd-ssd"
      local_ssds           = 2
      memory_class         = 2
      shutdown_seconds     = 120
      longest_life_seconds = 86400
      labels               = { "studio/kind" = "fast" }
      taints               = [{ key = "studio/kind", value = "fast", effect = "NO_EXECUTE" }]
    }
  }

  assert {
    condition     = google_container_node_pool.this.node_locations == toset(["europe-west4-b", "europe-west4-c"]) && google_container_node_pool.this.autoscaling[0].total_max_node_count == 40
    error_message = "it is elsewhere, or of another size"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].guest_accelerator[0].type == "nvidia-l4" && google_container_node_pool.this.node_config[0].guest_accelerator[0].count == 2 && google_container_node_pool.this.node_config[0].guest_accelerator[0].gpu_driver_installation_config[0].gpu_driver_version == "LATEST"
    error_message = "it has other GPUs"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].disk_size_gb == 200 && google_container_node_pool.this.node_config[0].disk_type == "pd-ssd" && google_container_node_pool.this.node_config[0].ephemeral_storage_local_ssd_config[0].local_ssd_count == 2
    error_message = "it has other disks"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].kubelet_config[0].shutdown_grace_period_seconds == 120 && google_container_node_pool.this.node_config[0].kubelet_config[0].shutdown_grace_period_critical_pods_seconds == 15
    error_message = "it has another time to shut down"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].max_run_duration == "86400s"
    error_message = "it lives longer"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].labels["studio/kind"] == "fast" && google_container_node_pool.this.node_config[0].labels["burst/memory-class"] == "2"
    error_message = "it has other labels"
  }

  assert {
    condition     = [for taint in google_container_node_pool.this.node_config[0].taint : taint.key] == ["cloud.google.com/gke-spot", "studio/kind"] && google_container_node_pool.this.node_config[0].taint[1].effect == "NO_EXECUTE"
    error_message = "it has other taints"
  }
}

run "on_demand" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      spot    = false
    }
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].spot == false && [for taint in google_container_node_pool.this.node_config[0].taint : taint.key] == ["burst/worker"]
    error_message = "others' pods would keep it from zero"
  }
}

run "on_demand_with_gpus" {
  command = plan
  variables {
    pool = {
      machine    = "g2-standard-8"
      spot       = false
      gpu_type   = "nvidia-l4"
      gpus       = 1
      gpu_driver = "LATEST"
    }
  }

  assert {
    condition     = length(google_container_node_pool.this.node_config[0].taint) == 0
    error_message = "GKE taints these itself"
  }
}

# Pools that a plan would take, and Google would not, or that would never run a worker.

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

run "a_name_with_capitals" {
  command = plan
  variables {
    name = "CPU"
  }
  expect_failures = [var.name]
}

run "no_machine" {
  command = plan
  variables {
    pool = { machine = null }
  }
  expect_failures = [var.pool]
}

run "a_machine_that_is_none" {
  command = plan
  variables {
    pool = {
      machine = "fast"

    }
  }
  expect_failures = [var.pool]
}

run "an_arm_machine" {
  command = plan
  variables {
    pool = {
      machine = "c4a-standard-8"

    }
  }
  expect_failures = [var.pool]
}

run "no_nodes_at_all" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      maximum = 0
    }
  }
  expect_failures = [var.pool]
}

run "half_a_node" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      maximum = 1.5
    }
  }
  expect_failures = [var.pool]
}

run "more_nodes_than_there_are" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      maximum = 5001
    }
  }
  expect_failures = [var.pool]
}

run "gpus_of_no_kind" {
  command = plan
  variables {
    pool = {
      machine    = "n2d-standard-8"
      gpus       = 1
      gpu_driver = "LATEST"
    }
  }
  expect_failures = [var.pool]
}

run "a_kind_of_gpu_without_a_number" {
  command = plan
  variables {
    pool = {
      machine  = "n2d-standard-8"
      gpu_type = "nvidia-l4"
    }
  }
  expect_failures = [var.pool]
}

run "a_gpu_without_a_driver" {
  command = plan
  variables {
    pool = {
      machine  = "n2d-standard-8"
      gpu_type = "nvidia-l4"
      gpus     = 1
    }
  }
  expect_failures = [var.pool]
}

run "a_driver_that_there_is_not" {
  command = plan
  variables {
    pool = {
      machine    = "n2d-standard-8"
      gpu_type   = "nvidia-l4"
      gpus       = 1
      gpu_driver = "NEWEST"
    }
  }
  expect_failures = [var.pool]
}

run "a_driver_without_a_gpu" {
  command = plan
  variables {
    pool = {
      machine    = "n2d-standard-8"
      gpu_driver = "LATEST"
    }
  }
  expect_failures = [var.pool]
}

run "a_machine_with_gpus_that_are_not_said" {
  command = plan
  variables {
    pool = {
      machine = "g2-standard-8"

    }
  }
  expect_failures = [var.pool]
}

run "a_zone_of_another_region" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      zones   = ["europe-west1-b"]
    }
  }
  expect_failures = [var.pool]
}

run "a_zone_twice" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      zones   = ["europe-west4-a", "europe-west4-a"]
    }
  }
  expect_failures = [var.pool]
}

run "a_region_for_a_zone" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      zones   = ["europe-west4"]
    }
  }
  expect_failures = [var.pool]
}

run "too_small_a_disk" {
  command = plan
  variables {
    pool = {
      machine  = "n2d-standard-8"
      disk_gib = 10
    }
  }
  expect_failures = [var.pool]
}

run "a_disk_of_no_kind" {
  command = plan
  variables {
    pool = {
      machine   = "n2d-standard-8"
      disk_type = "fast"
    }
  }
  expect_failures = [var.pool]
}

run "a_disk_that_the_machine_does_not_take" {
  command = plan
  variables {
    pool = {
      machine   = "n4-standard-8"
      disk_type = "pd-ssd"
    }
  }
  expect_failures = [var.pool]
}

run "fewer_than_no_ssds" {
  command = plan
  variables {
    pool = {
      machine    = "n2d-standard-8"
      local_ssds = -1
    }
  }
  expect_failures = [var.pool]
}

run "ssds_that_the_machine_does_not_take" {
  command = plan
  variables {
    pool = {
      machine    = "e2-standard-8"
      local_ssds = 1
    }
  }
  expect_failures = [var.pool]
}

run "half_a_memory_class" {
  command = plan
  variables {
    pool = {
      machine      = "n2d-standard-8"
      memory_class = 0.5
    }
  }
  expect_failures = [var.pool]
}

run "too_short_a_shutdown" {
  command = plan
  variables {
    pool = {
      machine          = "n2d-standard-8"
      shutdown_seconds = 5
    }
  }
  expect_failures = [var.pool]
}

run "a_shutdown_that_gke_does_not_know" {
  command = plan
  variables {
    pool = {
      machine          = "n2d-standard-8"
      shutdown_seconds = 60
    }
  }
  expect_failures = [var.pool]
}

run "a_shutdown_of_machines_that_are_not_taken_back" {
  command = plan
  variables {
    pool = {
      machine          = "n2d-standard-8"
      spot             = false
      shutdown_seconds = 120
    }
  }
  expect_failures = [var.pool]
}

run "too_short_a_life" {
  command = plan
  variables {
    pool = {
      machine              = "n2d-standard-8"
      longest_life_seconds = 60
    }
  }
  expect_failures = [var.pool]
}

run "too_long_a_life" {
  command = plan
  variables {
    pool = {
      machine              = "n2d-standard-8"
      longest_life_seconds = 10368001
    }
  }
  expect_failures = [var.pool]
}

run "a_label_that_is_none" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      labels  = { "a b" = "c" }
    }
  }
  expect_failures = [var.pool]
}

run "a_label_of_burst" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      labels  = { "burst/pool" = "other" }
    }
  }
  expect_failures = [var.pool]
}

run "a_label_of_kubernetes" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      labels  = { "node.kubernetes.io/x" = "y" }
    }
  }
  expect_failures = [var.pool]
}

run "a_taint_without_a_known_effect" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      taints  = [{ key = "a", effect = "NoSchedule" }]
    }
  }
  expect_failures = [var.pool]
}

run "a_taint_without_a_key" {
  command = plan
  variables {
    pool = {
      machine = "n2d-standard-8"
      taints  = [{ key = "" }]
    }
  }
  expect_failures = [var.pool]
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

run "a_region_for_the_zone" {
  command = plan
  variables {
    zone = "europe-west4"
  }
  expect_failures = [var.zone]
}

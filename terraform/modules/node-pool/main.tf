# Nodes of one kind, from none to a maximum. They come when workers wait for them and go when these
# have left; nothing else may run on them, or they would never be none.

locals {
  spot_taint = { key = "cloud.google.com/gke-spot", value = "true", effect = "NO_SCHEDULE" }
  own_taint  = { key = "burst/worker", value = "true", effect = "NO_SCHEDULE" }

  # GKE itself taints nodes with GPUs.
  taints = concat(
    var.pool.spot ? [local.spot_taint] : var.pool.gpus > 0 ? [] : [local.own_taint],
    var.pool.taints,
  )
}

resource "google_container_node_pool" "this" {
  project            = var.project
  name               = var.name
  cluster            = var.cluster
  location           = var.zone
  node_locations     = length(var.pool.zones) > 0 ? var.pool.zones : [var.zone]
  initial_node_count = 0
  # A worker has a node for itself: the pods' range is enough for more nodes so.
  max_pods_per_node = 32

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.pool.maximum
    # Whichever zone has machines; workers need not be spread.
    location_policy = "ANY"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = var.pool.machine
    image_type      = "COS_CONTAINERD"
    spot            = var.pool.spot
    disk_size_gb    = var.pool.disk_gib
    disk_type       = var.pool.disk_type != "" ? var.pool.disk_type : null
    resource_labels = merge(var.labels, { burst-pool = var.name })
    service_account = var.node_account
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    # The autoscaler knows a pool without nodes by these alone.
    labels = merge(var.pool.labels, {
      "burst/memory-class" = tostring(var.pool.memory_class)
      "burst/pool"         = var.name
    })
    max_run_duration = var.pool.longest_life_seconds == null ? null : "${var.pool.longest_life_seconds}s"

    dynamic "taint" {
      for_each = local.taints
      content {
        key    = taint.value.key
        value  = taint.value.value
        effect = taint.value.effect
      }
    }

    dynamic "guest_accelerator" {
      for_each = var.pool.gpus > 0 ? [var.pool.gpu_type] : []
      content {
        type  = guest_accelerator.value
        count = var.pool.gpus
        gpu_driver_installation_config {
          gpu_driver_version = var.pool.gpu_driver
        }
      }
    }

    dynamic "ephemeral_storage_local_ssd_config" {
      for_each = var.pool.local_ssds > 0 ? [var.pool.local_ssds] : []
      content {
        local_ssd_count = ephemeral_storage_local_ssd_config.value
      }
    }

    # Images are read while they are used: a worker starts before the whole of its Blender is there.
    gcfs_config {
      enabled = true
    }

    kubelet_config {
      insecure_kubelet_readonly_port_enabled      = "FALSE"
      shutdown_grace_period_seconds               = var.pool.shutdown_seconds
      shutdown_grace_period_critical_pods_seconds = var.pool.shutdown_seconds == null ? null : 15
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    # A change would replace the pool.
    ignore_changes = [initial_node_count]
  }
}

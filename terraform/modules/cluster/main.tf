# A zonal cluster, whose fee is the smallest there is, and the one node that it can't do without.
# Nobody reaches it by an address: its API has a DNS name, at which IAM says who may.

resource "google_container_cluster" "this" {
  # checkov:skip=CKV_GCP_12: Dataplane V2 enforces policies, without the add-on that this rule looks for
  # checkov:skip=CKV_GCP_20: there is no address to authorize networks for
  # checkov:skip=CKV_GCP_21: it has labels, from a variable that this rule does not look into
  # checkov:skip=CKV_GCP_61: it shows traffic within a node to flow logs, and there are none
  # checkov:skip=CKV_GCP_65: an artist alone has no Google groups
  # checkov:skip=CKV_GCP_66: images come from the farm's own registry, which nobody else may push to
  project             = var.project
  name                = var.farm
  description         = "burst farm ${var.farm}"
  location            = var.zone
  resource_labels     = var.labels
  deletion_protection = var.deletion_protection

  network           = var.network
  subnetwork        = var.subnetwork
  networking_mode   = "VPC_NATIVE"
  datapath_provider = "ADVANCED_DATAPATH"

  # GKE has to make one pool itself. It goes at once, and is small, for the quota's sake.
  remove_default_node_pool = true
  initial_node_count       = 1

  enable_shielded_nodes = true
  enable_legacy_abac    = false

  ip_allocation_policy {
    cluster_secondary_range_name  = var.pods_range
    services_secondary_range_name = var.services_range
  }

  private_cluster_config {
    enable_private_nodes = true
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
    ip_endpoints_config {
      enabled = false
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  anonymous_authentication_config {
    mode = "LIMITED"
  }

  rbac_binding_config {
    enable_insecure_binding_system_authenticated   = false
    enable_insecure_binding_system_unauthenticated = false
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  addons_config {
    # A thousand workers ask for names of the bucket and the manager.
    dns_cache_config {
      enabled = true
    }
    gce_persistent_disk_csi_driver_config {
      enabled = true
    }
    gcs_fuse_csi_driver_config {
      enabled = true
    }
    # No load balancer: nothing of the cluster's own is left when it goes.
    http_load_balancing {
      disabled = true
    }
  }

  cluster_autoscaling {
    enabled             = false
    autoscaling_profile = "OPTIMIZE_UTILIZATION"
  }

  release_channel {
    channel = "REGULAR"
  }

  # Workers' own logs are in the bucket; here each line of them would be billed.
  logging_config {
    enable_components = ["SYSTEM_COMPONENTS"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = false
    }
  }

  cost_management_config {
    enabled = true
  }

  node_pool_defaults {
    node_config_defaults {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }
  }

  node_config {
    machine_type    = "e2-medium"
    disk_size_gb    = 30
    disk_type       = "pd-standard"
    service_account = var.node_account
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [
      # Of a pool that is not there any more; a change would replace the cluster.
      initial_node_count,
      node_config,
      # Of a cluster without addresses Google may say either, and nothing would change it.
      private_cluster_config[0].enable_private_endpoint,
    ]
  }
}

resource "google_container_node_pool" "system" {
  project           = var.project
  name              = "system"
  cluster           = google_container_cluster.this.name
  location          = google_container_cluster.this.location
  node_count        = 1
  max_pods_per_node = 110

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  # A second node comes before the first goes, so that the manager is away for a minute only.
  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type    = var.machine
    image_type      = "COS_CONTAINERD"
    disk_size_gb    = 50
    disk_type       = "pd-balanced"
    labels          = { "burst/pool" = "system" }
    resource_labels = var.labels
    service_account = var.node_account
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

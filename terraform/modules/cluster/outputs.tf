output "dns_endpoint" {
  description = "DNS name of the Kubernetes API, at which IAM says who may."
  value       = google_container_cluster.this.control_plane_endpoints_config[0].dns_endpoint_config[0].endpoint
}

output "location" {
  description = "Zone of the cluster."
  value       = google_container_cluster.this.location
}

output "name" {
  description = "Name of the cluster, once a worker pool may be added: the system pool is there."
  value       = google_container_cluster.this.name
  depends_on  = [google_container_node_pool.system]
}

output "workload_pool" {
  description = "Pool of workload identity, which exists since the cluster does."
  value       = google_container_cluster.this.workload_identity_config[0].workload_pool
}

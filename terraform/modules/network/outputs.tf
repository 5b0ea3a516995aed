# What runs in the network needs the names of Google's APIs from its first second, so all wait for them.

output "network" {
  description = "Id of the network."
  value       = google_compute_network.this.id
  depends_on  = [google_dns_record_set.addresses, google_dns_record_set.names]
}

output "pods_range" {
  description = "Name of the range for pods."
  value       = google_compute_subnetwork.nodes.secondary_ip_range[0].range_name
}

output "services_range" {
  description = "Name of the range for services."
  value       = google_compute_subnetwork.nodes.secondary_ip_range[1].range_name
}

output "subnetwork" {
  description = "Id of the subnetwork."
  value       = google_compute_subnetwork.nodes.id
}

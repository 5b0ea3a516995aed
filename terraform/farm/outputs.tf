output "cluster" {
  description = "The cluster: its name, its zone, and the DNS name of its Kubernetes API."
  value = {
    name         = module.cluster.name
    location     = module.cluster.location
    dns_endpoint = module.cluster.dns_endpoint
  }
}

output "pools" {
  description = "Names of the node pools, by worker pool."
  value       = { for name, pool in module.pool : name => pool.name }
}

output "project_number" {
  description = "Number of the project, which names of its identities contain."
  value       = data.google_project.this.number
}

output "registry" {
  description = "What stands before the names of images."
  value       = module.registry.address
}

output "service_accounts" {
  description = "Who the farm's parts are: the nodes' service account, and the charts' as principals of workload identity."
  value       = module.identity.service_accounts
}

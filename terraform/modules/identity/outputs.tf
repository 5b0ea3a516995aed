output "node_account" {
  description = "Service account of the nodes, once it has its rights: a node without them never gets ready."
  value       = google_service_account.nodes.email
  depends_on  = [google_project_iam_member.nodes]
}

output "service_accounts" {
  description = "Who is who: the nodes' service account, and principals of the charts' service accounts."
  value       = merge({ nodes = google_service_account.nodes.email }, local.principals)
}

output "address" {
  description = "What stands before the names of images."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "name" {
  description = "Name of the repository."
  value       = google_artifact_registry_repository.images.repository_id
}

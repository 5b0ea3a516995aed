output "bucket" {
  description = "Name of the bucket."
  value       = google_storage_bucket.data.name
}

output "url" {
  description = "The bucket as burst takes it: gs://…"
  value       = google_storage_bucket.data.url
}

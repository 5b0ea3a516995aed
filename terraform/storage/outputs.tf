output "bucket" {
  description = "Name of the bucket."
  value       = module.storage.bucket
}

output "url" {
  description = "The bucket as burst takes it: gs://…"
  value       = module.storage.url
}

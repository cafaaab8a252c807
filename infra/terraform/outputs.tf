output "page" {
  description = "The address of the page."
  value       = google_cloud_run_v2_service.web.uri
}

output "bucket" {
  description = "Where uploads go (drop-zone/) and results lie (robyn/, model_summary/)."
  value       = google_storage_bucket.data.name
}

output "train_requests" {
  description = "The topic of requests. Grant publishers roles/pubsub.publisher on it."
  value       = google_pubsub_topic.this[local.names.train_requests].id
}

output "batch_requests" {
  description = "The topic of batches of requests. Grant publishers roles/pubsub.publisher on it."
  value       = google_pubsub_topic.this[local.names.batch_requests].id
}

output "job_finished" {
  description = "The topic that tells of every end. Consumers bring their own subscription."
  value       = google_pubsub_topic.this[local.names.job_finished].id
}

output "repository" {
  description = "Where images are pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "code_bucket" {
  description = "Where archives of the functions are uploaded to."
  value       = google_storage_bucket.code.name
}

output "egress_address" {
  description = "The address for Snowflake's network policy; null without fixed_egress."
  value       = one(google_compute_address.egress[*].address)
}

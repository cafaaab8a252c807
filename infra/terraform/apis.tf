resource "google_project_service" "this" {
  for_each = toset([
    "artifactregistry.googleapis.com", "cloudbuild.googleapis.com", "cloudfunctions.googleapis.com",
    "cloudquotas.googleapis.com", "cloudresourcemanager.googleapis.com", "cloudscheduler.googleapis.com", "compute.googleapis.com",
    "containerscanning.googleapis.com", "firestore.googleapis.com", "iam.googleapis.com",
    "iamcredentials.googleapis.com", "iap.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com",
    "pubsub.googleapis.com", "run.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com",
  ])
  service            = each.value
  disable_on_destroy = false
}

# Google's own accounts that act for us. They must exist before they can be granted anything.
resource "google_project_service_identity" "agent" {
  provider = google-beta
  for_each = toset(["iap.googleapis.com", "pubsub.googleapis.com"])
  service  = google_project_service.this[each.value].service
}

data "google_storage_project_service_account" "agent" {
  depends_on = [google_project_service.this]
}

resource "google_service_account" "this" {
  for_each     = local.names.rights
  account_id   = "mmm-${each.key}"
  display_name = "MMM Trainer: ${each.key}"
}

resource "google_service_account" "push" {
  account_id   = "mmm-push"
  display_name = "MMM Trainer: delivers messages to the functions"
}

resource "google_service_account" "build" {
  account_id   = "mmm-build"
  display_name = "MMM Trainer: builds the functions"
}

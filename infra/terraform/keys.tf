# A key of one's own for data at rest: Google's agents may use it, nobody else is granted anything.
locals {
  key_users = var.kms_key == null ? {} : {
    storage    = "serviceAccount:${data.google_storage_project_service_account.agent.email_address}"
    pubsub     = google_project_service_identity.agent["pubsub.googleapis.com"].member
    firestore  = google_project_service_identity.key_user["firestore.googleapis.com"].member
    registry   = google_project_service_identity.key_user["artifactregistry.googleapis.com"].member
    secrets    = google_project_service_identity.key_user["secretmanager.googleapis.com"].member
    functions  = google_project_service_identity.key_user["cloudfunctions.googleapis.com"].member
    containers = google_project_service_identity.key_user["run.googleapis.com"].member
  }
}

resource "google_project_service_identity" "key_user" {
  provider = google-beta
  for_each = var.kms_key == null ? [] : toset([
    "firestore.googleapis.com", "artifactregistry.googleapis.com", "secretmanager.googleapis.com",
    "cloudfunctions.googleapis.com", "run.googleapis.com",
  ])
  service = google_project_service.this[each.value].service
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each      = local.key_users
  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

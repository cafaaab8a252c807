locals {
  repositories = { images = "the page and the trainers", functions = "built by Cloud Functions" }
}

resource "google_artifact_registry_repository" "images" {
  repository_id          = "mmm"
  location               = var.region
  format                 = "DOCKER"
  description            = "MMM Trainer: ${local.repositories.images}"
  kms_key_name           = var.kms_key
  labels                 = { part = "images" }
  cleanup_policy_dry_run = false
  docker_config {
    immutable_tags = true
  }
  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }
  cleanup_policies {
    id     = "keep-five"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

# The pipeline's identity that pushes (bootstrap/) adds images and archives, and can change none.
locals {
  publisher = "serviceAccount:mmm-publish@${var.project}.iam.gserviceaccount.com"
}

resource "google_artifact_registry_repository_iam_member" "publish" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = local.publisher
}

resource "google_storage_bucket_iam_member" "publish" {
  for_each = toset(["roles/storage.objectCreator", "roles/storage.objectViewer"])
  bucket   = google_storage_bucket.code.name
  role     = each.value
  member   = local.publisher
}

resource "google_artifact_registry_repository" "functions" {
  repository_id          = "mmm-functions"
  location               = var.region
  format                 = "DOCKER"
  description            = "MMM Trainer: ${local.repositories.functions}"
  kms_key_name           = var.kms_key
  labels                 = { part = "images" }
  cleanup_policy_dry_run = false
  cleanup_policies {
    id     = "keep-two"
    action = "KEEP"
    most_recent_versions {
      keep_count = 2
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

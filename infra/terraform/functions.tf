resource "google_cloudfunctions2_function" "this" {
  for_each     = local.names.functions
  name         = "mmm-${each.key}"
  location     = var.region
  kms_key_name = var.kms_key
  labels       = { part = "functions" }

  build_config {
    runtime           = "python311"
    entry_point       = each.key
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.functions.id
    automatic_update_policy {}
    source {
      storage_source {
        bucket = google_storage_bucket.code.name
        object = var.functions_archive
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this[each.key].email
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    available_cpu                    = "1"
    available_memory                 = each.value.memory
    timeout_seconds                  = each.value.timeout_s
    min_instance_count               = 0
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = each.value.concurrency
    environment_variables = merge(
      local.environment,
      { THREADS = each.value.concurrency, LOG_EXECUTION_ID = "true" },
      local.names.rights[each.key].warehouses ? local.connections : {},
    )
    direct_vpc_egress = each.key == "extract" && var.fixed_egress ? "VPC_EGRESS_ALL_TRAFFIC" : null

    dynamic "direct_vpc_network_interface" {
      for_each = each.key == "extract" ? google_compute_subnetwork.egress : []
      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.id
      }
    }

    dynamic "secret_volumes" {
      for_each = local.names.rights[each.key].warehouses ? local.secrets : {}
      content {
        project_id = var.project
        mount_path = "/secrets/${secret_volumes.key}"
        secret     = google_secret_manager_secret.this[secret_volumes.key].secret_id
        versions {
          version = "latest" # read at each login: a new key needs no deployment
          path    = "value"
        }
      }
    }
  }

  depends_on = [
    google_project_service.this, google_storage_bucket_iam_member.build, google_project_iam_member.build,
    google_artifact_registry_repository_iam_member.build, google_secret_manager_secret_iam_member.this,
  ]
}

# What the build of a function needs: to read the archive, to write its image, to log.
resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.code.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.functions.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_project_iam_member" "build" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

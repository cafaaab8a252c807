# The trainer knows the bucket and nothing else: no database, no topics, no secrets.
resource "google_cloud_run_v2_job" "trainer" {
  for_each            = local.jobs
  name                = local.trainer_jobs[each.key]
  location            = var.region
  deletion_protection = var.deletion_protection
  labels              = { part = "trainer", engine = each.value.engine }

  template {
    parallelism = 0 # as many tasks at once as an execution asks for
    task_count  = 1
    template {
      service_account = google_service_account.this["trainer"].email
      encryption_key  = var.kms_key
      max_retries     = local.names.task_retries
      timeout         = "${local.names.task_timeout_s}s"
      containers {
        image = var.images[each.value.image]
        resources {
          limits = { cpu = each.value.cpu, memory = each.value.memory }
        }
        dynamic "env" {
          for_each = {
            MMM_FAMILY     = "gcp"
            MMM_PROJECT    = var.project
            MMM_BUCKET     = local.bucket
            MMM_CORES      = "0"
            MMM_LOG_FORMAT = "json"
          }
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = var.images[each.value.image] != null
      error_message = "The engine ${each.value.engine} is installed, but images.${each.value.image} is not given."
    }
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

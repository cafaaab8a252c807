data "google_project" "this" {
  project_id = var.project
}

locals {
  names  = jsondecode(file("${path.module}/names.json")) # written by `make schemas` from contracts/cloud.py
  labels = { app = "mmm", environment = var.environment }
  bucket = "${var.project}-mmm"
  number = data.google_project.this.number
  web    = "mmm-web"

  # Sizes of the installed engines only. The names are made here and not read from the jobs, which need them.
  jobs         = { for size, job in local.names.jobs : size => job if contains(var.engines, job.engine) }
  trainer_jobs = { for size, job in local.jobs : size => "trainer-${size}" }

  # What every function and the page are told of the installation.
  environment = {
    MMM_FAMILY       = "gcp"
    MMM_ENGINES      = jsonencode(var.engines)
    MMM_QUEUES       = jsonencode(var.queues)
    MMM_PROJECT      = var.project
    MMM_REGION       = var.region
    MMM_BUCKET       = local.bucket
    MMM_DATABASE     = local.names.database
    MMM_TRAINER_JOBS = jsonencode(local.trainer_jobs)
    MMM_LOG_FORMAT   = "json"
  }
}

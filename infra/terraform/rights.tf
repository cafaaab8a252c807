# The rights of contracts/cloud.py, and no others. Prefixes are conditions; nobody may change another's rights.
locals {
  custom_roles = {
    mmmObjectReader = ["storage.objects.get"]
    # Writing a name that exists needs the right to delete, also where that write is then refused.
    mmmObjectWriter = ["storage.objects.create", "storage.objects.get", "storage.objects.delete"]
    mmmObjectLister = ["storage.objects.list"]
    mmmStopper      = ["run.executions.get", "run.executions.list", "run.executions.cancel"]
    mmmLauncher     = ["run.jobs.run", "run.jobs.runWithOverrides", "run.executions.get", "run.executions.list", "run.executions.cancel"]
    mmmSigner       = ["iam.serviceAccounts.signBlob"]
  }
  objects = "projects/_/buckets/${local.bucket}/objects/"
  # identity and role → prefixes
  on_objects = merge([
    for identity, rights in local.names.rights : {
      for role, prefixes in { mmmObjectReader = rights.reads, mmmObjectWriter = rights.creates } :
      "${identity}/${role}" => { identity = identity, role = role, prefixes = prefixes } if length(prefixes) > 0
    }
  ]...)
  on_topics = merge([
    for identity, rights in local.names.rights : {
      for topic in rights.publishes : "${identity}/${topic}" => { identity = identity, topic = topic }
    }
  ]...)
  on_jobs = merge([
    for identity, rights in local.names.rights : {
      for size in keys(local.jobs) : "${identity}/${size}" => {
        identity = identity, size = size, role = rights.runs == "starts" ? "mmmLauncher" : "mmmStopper"
      }
    } if rights.runs != "none"
  ]...)
}

resource "google_project_iam_custom_role" "this" {
  for_each    = local.custom_roles
  role_id     = each.key
  title       = "MMM Trainer: ${each.key}"
  permissions = each.value
  depends_on  = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = local.on_objects
  bucket   = google_storage_bucket.data.name
  role     = google_project_iam_custom_role.this[each.value.role].name
  member   = google_service_account.this[each.value.identity].member
  condition {
    title      = "prefixes"
    expression = join(" || ", [for prefix in each.value.prefixes : "resource.name.startsWith(\"${local.objects}${prefix}\")"])
  }
}

resource "google_storage_bucket_iam_member" "lists" {
  for_each = { for identity, rights in local.names.rights : identity => rights.lists if length(rights.lists) > 0 }
  bucket   = google_storage_bucket.data.name
  role     = google_project_iam_custom_role.this["mmmObjectLister"].name
  member   = google_service_account.this[each.key].member
  condition {
    title      = "prefixes"
    expression = join(" || ", [for prefix in each.value : "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${prefix}\")"])
  }
}

resource "google_pubsub_topic_iam_member" "publishes" {
  for_each = local.on_topics
  topic    = google_pubsub_topic.this[each.value.topic].id
  role     = "roles/pubsub.publisher"
  member   = google_service_account.this[each.value.identity].member
}

resource "google_project_iam_member" "documents" {
  for_each = { for identity, rights in local.names.rights : identity => rights if length(rights.documents) > 0 }
  project  = var.project
  role     = "roles/datastore.user"
  member   = google_service_account.this[each.key].member
  condition {
    title      = "database"
    expression = "resource.name == \"projects/${var.project}/databases/${google_firestore_database.this.name}\""
  }
}

resource "google_cloud_run_v2_job_iam_member" "runs" {
  for_each = local.on_jobs
  name     = google_cloud_run_v2_job.trainer[each.value.size].name
  location = var.region
  role     = google_project_iam_custom_role.this[each.value.role].name
  member   = google_service_account.this[each.value.identity].member
}

# To start a job as the trainer's account, the launcher must be allowed to act as it.
resource "google_service_account_iam_member" "acts_as_trainer" {
  for_each           = toset([for identity, rights in local.names.rights : identity if rights.runs == "starts"])
  service_account_id = google_service_account.this["trainer"].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.this[each.value].member
}

resource "google_service_account_iam_member" "signs" {
  for_each           = toset([for identity, rights in local.names.rights : identity if rights.signs])
  service_account_id = google_service_account.this[each.value].name
  role               = google_project_iam_custom_role.this["mmmSigner"].name
  member             = google_service_account.this[each.value].member
}

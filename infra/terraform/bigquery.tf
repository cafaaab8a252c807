# What `extract` needs to query BigQuery: to run queries in a project, to stream their answers, to read datasets.
locals {
  bigquery = jsonencode({
    for name, one in var.bigquery : name => merge(
      { project = one.project, maximum_bytes_billed = one.maximum_bytes_billed },
      one.location == null ? {} : { location = one.location },
    )
  })
  asks_bigquery = {
    for pair in setproduct(values(var.bigquery)[*].project, ["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"]) :
    "${pair[0]} ${pair[1]}" => { project = pair[0], role = pair[1] }...
  }
}

resource "google_project_service" "bigquery" {
  for_each           = toset(length(var.bigquery) > 0 ? ["bigquery.googleapis.com", "bigquerystorage.googleapis.com"] : [])
  service            = each.value
  disable_on_destroy = false
}

resource "google_project_iam_member" "bigquery" {
  for_each = local.asks_bigquery
  project  = each.value[0].project
  role     = each.value[0].role
  member   = google_service_account.this["extract"].member
}

resource "google_bigquery_dataset_iam_member" "this" {
  for_each   = toset(flatten(values(var.bigquery)[*].datasets))
  project    = split(".", each.value)[0]
  dataset_id = split(".", each.value)[1]
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.this["extract"].member
}

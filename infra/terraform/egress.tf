# One fixed address for `extract`, where Snowflake is behind a network policy.
resource "google_compute_network" "egress" {
  count                   = var.fixed_egress ? 1 : 0
  name                    = "mmm-egress"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.this]
}

resource "google_compute_subnetwork" "egress" {
  count                    = var.fixed_egress ? 1 : 0
  name                     = "mmm-egress"
  network                  = google_compute_network.egress[0].id
  region                   = var.region
  ip_cidr_range            = "10.8.0.0/26"
  private_ip_google_access = true
  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "EXCLUDE_ALL_METADATA"
  }
}

# Nobody comes in from outside: the network is for going out.
resource "google_compute_firewall" "egress" {
  count         = var.fixed_egress ? 1 : 0
  name          = "mmm-egress-deny-in"
  network       = google_compute_network.egress[0].id
  direction     = "INGRESS"
  source_ranges = ["0.0.0.0/0"]
  deny {
    protocol = "all"
  }
}

resource "google_compute_router" "egress" {
  count   = var.fixed_egress ? 1 : 0
  name    = "mmm-egress"
  network = google_compute_network.egress[0].id
  region  = var.region
}

resource "google_compute_address" "egress" {
  count  = var.fixed_egress ? 1 : 0
  name   = "mmm-egress"
  region = var.region
}

resource "google_compute_router_nat" "egress" {
  count                              = var.fixed_egress ? 1 : 0
  name                               = "mmm-egress"
  router                             = google_compute_router.egress[0].name
  region                             = var.region
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = [google_compute_address.egress[0].self_link]
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

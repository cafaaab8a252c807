# The bucket that bootstrap/ made: terraform init -backend-config="bucket=<project>-mmm-state"
terraform {
  backend "gcs" {
    prefix = "mmm"
  }
}

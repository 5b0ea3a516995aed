# What plans of the bucket are, and which variables are refused.

mock_provider "google" {
  mock_resource "google_storage_bucket" {
    defaults = { url = "gs://my-project-studio-data" }
  }
}

variables {
  bucket  = "my-project-studio-data"
  labels  = { burst-farm = "studio" }
  project = "my-project"
  region  = "europe-west4"
}

run "example" {
  command = apply

  module {
    source = "./examples/basic"
  }
}

run "nobody_else_reads_it_and_nothing_bills_in_secret" {
  command = plan

  assert {
    condition     = google_storage_bucket.data.uniform_bucket_level_access && google_storage_bucket.data.public_access_prevention == "enforced"
    error_message = "the bucket could be made public"
  }

  assert {
    condition     = google_storage_bucket.data.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "deleted files would go on costing"
  }

  assert {
    condition     = length(google_storage_bucket.data.versioning) == 0
    error_message = "old versions would go on costing"
  }

  assert {
    condition     = google_storage_bucket.data.force_destroy == false
    error_message = "a destroy would take all frames"
  }

  assert {
    condition     = google_storage_bucket.data.labels["burst-farm"] == "studio"
    error_message = "it can not be found by its label"
  }
}

run "only_what_can_be_made_again_expires" {
  command = plan
  variables {
    attempt_days = 3
  }

  assert {
    condition     = toset(flatten([for rule in google_storage_bucket.data.lifecycle_rule : one(rule.condition).matches_prefix == null ? [] : one(rule.condition).matches_prefix if one(rule.action).type == "Delete"])) == toset(["attempts/", "incoming/", "previews/"])
    error_message = "other things expire, or these do not"
  }

  assert {
    condition     = alltrue([for rule in google_storage_bucket.data.lifecycle_rule : length(coalesce(one(rule.condition).matches_prefix, [])) > 0 if one(rule.action).type == "Delete"])
    error_message = "a rule deletes everything"
  }

  assert {
    condition     = one([for rule in google_storage_bucket.data.lifecycle_rule : one(rule.condition).age if contains(coalesce(one(rule.condition).matches_prefix, []), "attempts/")]) == 3
    error_message = "attempts have another age"
  }

  assert {
    condition     = one([for rule in google_storage_bucket.data.lifecycle_rule : one(rule.condition).age if contains(coalesce(one(rule.condition).matches_prefix, []), "previews/")]) == 30
    error_message = "previews have another age"
  }

  assert {
    condition     = one([for rule in google_storage_bucket.data.lifecycle_rule : one(rule.condition).age if one(rule.action).type == "AbortIncompleteMultipartUpload"]) == 3
    error_message = "uploads that were cut stay"
  }
}

run "a_bucket_with_capitals" {
  command = plan
  variables {
    bucket = "Frames"
  }
  expect_failures = [var.bucket]
}

run "a_bucket_that_ends_in_a_hyphen" {
  command = plan
  variables {
    bucket = "frames-"
  }
  expect_failures = [var.bucket]
}

run "a_bucket_of_two_letters" {
  command = plan
  variables {
    bucket = "ab"
  }
  expect_failures = [var.bucket]
}

run "a_bucket_with_google_in_it" {
  command = plan
  variables {
    bucket = "my-google-frames"
  }
  expect_failures = [var.bucket]
}

run "a_bucket_that_begins_with_goog" {
  command = plan
  variables {
    bucket = "googframes"
  }
  expect_failures = [var.bucket]
}

run "attempts_that_expire_at_once" {
  command = plan
  variables {
    attempt_days = 0
  }
  expect_failures = [var.attempt_days]
}

run "half_a_day" {
  command = plan
  variables {
    attempt_days = 1.5
  }
  expect_failures = [var.attempt_days]
}

run "previews_that_expire_at_once" {
  command = plan
  variables {
    preview_days = 0
  }
  expect_failures = [var.preview_days]
}

run "labels_that_say_nothing_of_the_farm" {
  command = plan
  variables {
    labels = { team = "film" }
  }
  expect_failures = [var.labels]
}

run "a_number_for_a_project" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "a_multi_region" {
  command = plan
  variables {
    region = "EU"
  }
  expect_failures = [var.region]
}

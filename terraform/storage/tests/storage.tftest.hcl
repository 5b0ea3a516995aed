# The root storage as a whole, and which variables are refused.

mock_provider "google" {
  mock_resource "google_storage_bucket" {
    defaults = { url = "gs://my-project-studio-data" }
  }
}

variables {
  bucket  = "my-project-studio-data"
  farm    = "studio"
  project = "my-project"
  region  = "europe-west4"
}

run "all_of_it" {
  command = apply

  assert {
    condition     = output.bucket == "my-project-studio-data" && output.url == "gs://my-project-studio-data"
    error_message = "burst is told of another bucket"
  }
}

run "a_name_with_capitals" {
  command = plan
  variables {
    farm = "Studio"
  }
  expect_failures = [var.farm]
}

run "a_name_that_is_too_long" {
  command = plan
  variables {
    farm = "a-very-long-name-of-a-farm"
  }
  expect_failures = [var.farm]
}

run "a_name_that_ends_in_a_hyphen" {
  command = plan
  variables {
    farm = "studio-"
  }
  expect_failures = [var.farm]
}

run "a_number_for_a_project" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "a_zone_for_a_region" {
  command = plan
  variables {
    region = "europe-west4-a"
  }
  expect_failures = [var.region]
}

run "a_bucket_with_capitals" {
  command = plan
  variables {
    bucket = "Frames"
  }
  expect_failures = [var.bucket]
}

run "a_label_that_is_none" {
  command = plan
  variables {
    labels = { Team = "film" }
  }
  expect_failures = [var.labels]
}

run "a_label_of_ours" {
  command = plan
  variables {
    labels = { burst-farm = "other" }
  }
  expect_failures = [var.labels]
}

run "an_interval_that_is_none" {
  command = plan
  variables {
    poll_interval = "often"
  }
  expect_failures = [var.poll_interval]
}

run "attempts_that_expire_at_once" {
  command = plan
  variables {
    attempt_days = 0
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

# What plans of the registry are, and which variables are refused.

mock_provider "google" {}

variables {
  farm    = "studio"
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

run "it_cleans_up_but_for_the_newest" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.images.cleanup_policy_dry_run == false
    error_message = "nothing would be deleted"
  }

  assert {
    condition     = toset([for rule in google_artifact_registry_repository.images.cleanup_policies : "${rule.id} ${rule.action}"]) == toset(["delete-old DELETE", "delete-untagged DELETE", "keep-newest KEEP"])
    error_message = "there are other rules"
  }

  assert {
    condition     = one([for rule in google_artifact_registry_repository.images.cleanup_policies : one(rule.condition).older_than if rule.id == "delete-old"]) == "2592000s"
    error_message = "old images have another age"
  }

  assert {
    condition     = one([for rule in google_artifact_registry_repository.images.cleanup_policies : one(rule.most_recent_versions).keep_count if rule.id == "keep-newest"]) == 20
    error_message = "another number is kept"
  }

  assert {
    condition     = google_artifact_registry_repository.images.labels["burst-farm"] == "studio"
    error_message = "it can not be found by its label"
  }

  assert {
    condition     = output.address == "europe-west4-docker.pkg.dev/my-project/studio"
    error_message = "images have other names"
  }
}

run "who_may_pull" {
  command = plan
  variables {
    readers = { nodes = "serviceAccount:studio-nodes@my-project.iam.gserviceaccount.com" }
  }

  assert {
    condition     = google_artifact_registry_repository_iam_member.readers["nodes"].role == "roles/artifactregistry.reader"
    error_message = "nodes may do more, or less"
  }

  assert {
    condition     = length(google_artifact_registry_repository_iam_member.readers) == 1
    error_message = "others may pull"
  }
}

run "images_for_all" {
  command = plan
  variables {
    readers = { world = "allUsers" }
  }
  expect_failures = [var.readers]
}

run "nothing_kept" {
  command = plan
  variables {
    keep = 0
  }
  expect_failures = [var.keep]
}

run "all_deleted_at_once" {
  command = plan
  variables {
    delete_days = 0
  }
  expect_failures = [var.delete_days]
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

run "a_zone_for_a_region" {
  command = plan
  variables {
    region = "europe-west4-a"
  }
  expect_failures = [var.region]
}

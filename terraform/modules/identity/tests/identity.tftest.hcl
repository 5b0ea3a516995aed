# Who may do what, and which variables are refused.

mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { email = "studio-nodes@my-project.iam.gserviceaccount.com" }
  }
  mock_resource "google_project_iam_custom_role" {
    defaults = { name = "projects/my-project/roles/studio_hibernate" }
  }
}

variables {
  bucket         = "my-project-studio-data"
  farm           = "studio"
  namespace      = "renders"
  project        = "my-project"
  project_number = "123456789012"
  workload_pool  = "my-project.svc.id.goog"
}

run "example" {
  command = apply

  module {
    source = "./examples/basic"
  }
}

run "who_is_who" {
  command = apply

  assert {
    condition     = output.service_accounts["worker"] == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-project.svc.id.goog/subject/ns/renders/sa/studio-worker"
    error_message = "this is not the charts' service account"
  }

  assert {
    condition     = toset(keys(output.service_accounts)) == toset(["hibernate", "manager", "nodes", "worker"])
    error_message = "others are said"
  }

  assert {
    condition     = output.node_account == "studio-nodes@my-project.iam.gserviceaccount.com"
    error_message = "nodes have another account"
  }
}

run "each_may_do_little" {
  command = plan

  assert {
    condition     = google_project_iam_member.nodes.role == "roles/container.defaultNodeServiceAccount"
    error_message = "nodes may do more"
  }

  assert {
    condition     = google_storage_bucket_iam_member.manager.role == "roles/storage.objectUser" && google_storage_bucket_iam_member.manager.bucket == "my-project-studio-data"
    error_message = "the manager may do more, or less"
  }

  assert {
    condition     = google_storage_bucket_iam_member.worker_reads.role == "roles/storage.objectViewer" && length(google_storage_bucket_iam_member.worker_reads.condition) == 0
    error_message = "workers could not list, or could write everywhere"
  }

  assert {
    condition     = google_storage_bucket_iam_member.worker_writes.role == "roles/storage.objectUser" && google_storage_bucket_iam_member.worker_writes.condition[0].expression == join(" || ", [for folder in ["attempts", "previews", "renders"] : "resource.name.startsWith(\"projects/_/buckets/my-project-studio-data/objects/${folder}/\")"])
    error_message = "workers could write over scenes, or not publish"
  }

  assert {
    condition     = google_project_iam_custom_role.hibernate.permissions == toset(["container.clusters.delete", "container.clusters.get", "container.operations.get"])
    error_message = "hibernating may do more than to delete a cluster"
  }

  assert {
    condition     = endswith(google_project_iam_member.hibernate.condition[0].expression, "resource.name.endsWith(\"/clusters/studio\")")
    error_message = "it could delete any cluster"
  }

  assert {
    condition     = endswith(google_project_iam_member.hibernate.member, "/ns/renders/sa/studio-hibernate")
    error_message = "others could delete the cluster"
  }
}

run "a_name_with_hyphens" {
  command = plan
  variables {
    farm = "my-fine-studio"
  }

  assert {
    condition     = google_project_iam_custom_role.hibernate.role_id == "my_fine_studio_hibernate"
    error_message = "no id of a role has hyphens"
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

run "a_bucket_with_capitals" {
  command = plan
  variables {
    bucket = "Frames"
  }
  expect_failures = [var.bucket]
}

run "a_namespace_with_capitals" {
  command = plan
  variables {
    namespace = "Renders"
  }
  expect_failures = [var.namespace]
}

run "an_id_for_a_number" {
  command = plan
  variables {
    project_number = "my-project"
  }
  expect_failures = [var.project_number]
}

run "a_pool_of_somebody_else" {
  command = plan
  variables {
    workload_pool = "my-pool"
  }
  expect_failures = [var.workload_pool]
}

variable "bucket" {
  description = "Name of the bucket with scenes, frames and logs; it must be there."
  type        = string

  validation {
    condition = (
      can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.bucket)) &&
      !startswith(var.bucket, "goog") && !strcontains(var.bucket, "google")
    )
    error_message = "bucket must be 3 to 63 lower case letters, digits, hyphens and underscores, without \"google\" in it, and begin and end with a letter or digit."
  }
}

variable "farm" {
  description = "Name of the farm: every name begins with it, and the label burst-farm has it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,21}[a-z0-9])?$", var.farm))
    error_message = "farm must be at most 23 lower case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "namespace" {
  description = "Namespace of the farm's charts. Only service accounts in it may use the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a name of Kubernetes: at most 63 lower case letters, digits and hyphens."
  }
}

variable "project" {
  description = "Id of the project in Google Cloud."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project: 6 to 30 lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "project_number" {
  description = "Number of the project, which names of workload identity contain."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be the number of the project, not its id."
  }
}

variable "workload_pool" {
  description = "Pool of workload identity that the cluster has; taken from the cluster, it must be there before it is named."
  type        = string

  validation {
    condition     = endswith(var.workload_pool, ".svc.id.goog")
    error_message = "workload_pool must be a pool of GKE, such as my-project.svc.id.goog."
  }
}

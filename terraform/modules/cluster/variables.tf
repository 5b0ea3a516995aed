variable "deletion_protection" {
  description = "Refuse to destroy the cluster, until false was applied."
  type        = bool
  default     = false
  nullable    = false
}

variable "farm" {
  description = "Name of the farm: every name begins with it, and the label burst-farm has it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,21}[a-z0-9])?$", var.farm))
    error_message = "farm must be at most 23 lower case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "labels" {
  description = "Labels of everything that takes labels; burst-farm among them says whose it is."
  type        = map(string)

  validation {
    condition     = contains(keys(var.labels), "burst-farm")
    error_message = "labels must have burst-farm, by which leftovers are found."
  }
}

variable "machine" {
  description = "Machine type of the one node that is always there: the manager and Kubernetes' own pods run on it."
  type        = string
  default     = "e2-standard-2"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z0-9-]+$", var.machine)) && !can(regex("^(c4a|n4a|t2a)-", var.machine))
    error_message = "machine must be a machine type for x86-64, such as e2-standard-2."
  }

  validation {
    condition     = !contains(["e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"], var.machine)
    error_message = "machine is too small: Kubernetes' own pods and the manager need two whole cores, such as e2-standard-2 has."
  }
}

variable "network" {
  description = "Id of the network."
  type        = string
}

variable "node_account" {
  description = "Service account of the nodes: one with no more rights than nodes need."
  type        = string
}

variable "pods_range" {
  description = "Name of the subnetwork's secondary range for pods."
  type        = string
}

variable "project" {
  description = "Id of the project in Google Cloud."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project: 6 to 30 lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "services_range" {
  description = "Name of the subnetwork's secondary range for services."
  type        = string
}

variable "subnetwork" {
  description = "Id of the subnetwork."
  type        = string
}

variable "zone" {
  description = "Zone of the control plane and of the system pool."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone))
    error_message = "zone must be a zone such as europe-west4-a: a regional cluster costs more, and is never free of its fee."
  }
}

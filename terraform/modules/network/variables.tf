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

variable "project" {
  description = "Id of the project in Google Cloud."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project: 6 to 30 lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "ranges" {
  description = "Address ranges of the farm's own network."
  type = object({
    # Nodes, one address each.
    nodes = optional(string, "10.10.0.0/20")
    # Pods: 64 for a node of a worker pool, 256 for the system's.
    pods = optional(string, "10.64.0.0/14")
    # What Kubernetes calls services.
    services = optional(string, "10.30.0.0/20")
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for range in values(var.ranges) :
      can(cidrnetmask(range)) && try(cidrhost(range, 0) == split("/", range)[0], false)
    ])
    error_message = "ranges must be IPv4 ranges that begin at their first address, such as 10.10.0.0/20."
  }

  validation {
    condition = alltrue([
      for range in values(var.ranges) :
      can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168|100\\.(6[4-9]|[789][0-9]|1[01][0-9]|12[0-7]))\\.", range))
    ])
    error_message = "ranges must be private: within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10."
  }

  validation {
    # Two ranges overlap if the larger one's mask makes them the same.
    condition = alltrue([
      for pair in [[var.ranges.nodes, var.ranges.pods], [var.ranges.nodes, var.ranges.services], [var.ranges.pods, var.ranges.services]] :
      try(length(distinct([
        for range in pair : cidrhost("${split("/", range)[0]}/${min([for one in pair : tonumber(split("/", one)[1])]...)}", 0)
      ])) == 2, true)
    ])
    error_message = "ranges must not overlap: nodes ${var.ranges.nodes}, pods ${var.ranges.pods}, services ${var.ranges.services}."
  }
}

variable "region" {
  description = "Region of the subnetwork."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west4."
  }
}

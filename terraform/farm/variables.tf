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
  description = "Labels of everything that takes labels, besides burst-farm."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for key, value in var.labels :
      can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "labels must have at most 63 lower case letters, digits, hyphens and underscores, and their keys begin with a letter."
  }

  validation {
    condition     = !contains(keys(var.labels), "burst-farm")
    error_message = "labels must not have burst-farm: it says whose a resource is, and is set from farm."
  }
}

variable "namespace" {
  description = "Namespace of the farm's charts; by default the farm's name. Only service accounts in it may use the bucket."
  type        = string
  default     = null

  validation {
    condition     = var.namespace == null || can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a name of Kubernetes: at most 63 lower case letters, digits and hyphens."
  }
}

variable "poll_interval" {
  description = "How often the provider asks whether something is done, such as 1s; by default the provider's 10s."
  type        = string
  default     = null

  validation {
    condition     = var.poll_interval == null || can(regex("^[0-9]+(ms|s)$", var.poll_interval))
    error_message = "poll_interval must be a duration such as 500ms or 10s."
  }
}

variable "pools" {
  description = "Worker pools by name: each a node pool that grows from no node to its maximum."
  type = map(object({
    # Machine type, such as n2d-standard-8.
    machine = string
    # Machines that are cheap because they may be taken back.
    spot = optional(bool, true)
    # Most nodes at a time, of all zones together.
    maximum = optional(number, 10)
    # GPU as Google calls it, such as nvidia-l4; also where the machine type has it built in.
    gpu_type = optional(string, "")
    # GPUs of one machine.
    gpus = optional(number, 0)
    # Driver that GKE installs: DEFAULT or LATEST.
    gpu_driver = optional(string, "")
    # Zones of the region where its machines may be; none: the cluster's own.
    zones = optional(list(string), [])
    # Boot disk in GiB: images, and scratch where there is no local SSD.
    disk_gib = optional(number, 100)
    # Type of that disk, such as pd-balanced; empty: what GKE takes for the machine.
    disk_type = optional(string, "")
    # Local SSDs, which the workers' scratch is on then.
    local_ssds = optional(number, 0)
    # Stands on the nodes as the label burst/memory-class.
    memory_class = optional(number, 0)
    # How long a spot machine that is taken back has to shut down, 30 or 120, the last 15 not for workers; none: GKE's 30.
    shutdown_seconds = optional(number)
    # A node is deleted after so long, whatever it does: a guard against a forgotten farm; none: never.
    longest_life_seconds = optional(number)
    # Labels of the nodes in Kubernetes.
    labels = optional(map(string), {})
    # Taints of the nodes; a pool that is neither spot nor has GPUs gets burst/worker=true:NO_SCHEDULE as well.
    taints = optional(list(object({
      key    = string
      value  = optional(string, "")
      effect = optional(string, "NO_SCHEDULE")
    })), [])
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for name in keys(var.pools) : can(regex("^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$", name))
    ])
    error_message = "pools must have names of at most 30 lower case letters, digits and hyphens, beginning with a letter: wrong are ${join(", ", [for name in keys(var.pools) : name if !can(regex("^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$", name))])}."
  }

  validation {
    condition     = length(setintersection(keys(var.pools), ["default-pool", "system"])) == 0
    error_message = "pools must not be called system or default-pool: the cluster has these itself."
  }

  validation {
    condition     = alltrue([for pool in values(var.pools) : alltrue([for zone in pool.zones : can(regex("^${var.region}-[a-z]$", zone))])])
    error_message = "zones of a pool must be zones of ${var.region}: wrong are ${join(", ", distinct(flatten([for name, pool in var.pools : [for zone in pool.zones : "${zone} (${name})" if !can(regex("^${var.region}-[a-z]$", zone))]])))}."
  }

  validation {
    # 64 pod addresses a node of a worker pool, 256 the system's; each pool may have one node more while it is upgraded.
    condition     = sum(concat([8], [for pool in values(var.pools) : pool.maximum + 1])) <= pow(2, 26 - try(tonumber(split("/", var.ranges.pods)[1]), 0))
    error_message = "pools together may have more nodes than the pods' range ${var.ranges.pods} has room for: take a larger range, or smaller maxima."
  }

  validation {
    # Four addresses of a subnetwork are Google's own.
    condition     = sum(concat([8], [for pool in values(var.pools) : pool.maximum + 1])) <= pow(2, 32 - try(tonumber(split("/", var.ranges.nodes)[1]), 0))
    error_message = "pools together may have more nodes than the nodes' range ${var.ranges.nodes} has addresses: take a larger range, or smaller maxima."
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
  description = "Region of the network, the machines and the registry: that of the bucket, so that reading is free of charge."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west4."
  }
}

variable "system_machine" {
  description = "Machine type of the one node that is always there: the manager and Kubernetes' own pods run on it."
  type        = string
  default     = "e2-standard-2"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z0-9-]+$", var.system_machine)) && !can(regex("^(c4a|n4a|t2a)-", var.system_machine))
    error_message = "system_machine must be a machine type for x86-64, such as e2-standard-2."
  }

  validation {
    condition     = !contains(["e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"], var.system_machine)
    error_message = "system_machine is too small: Kubernetes' own pods and the manager need two whole cores, such as e2-standard-2 has."
  }
}

variable "zone" {
  description = "Zone of the cluster and, unless they say otherwise, of its worker pools."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, "${var.region}-")
    error_message = "zone must be a zone of the region, such as ${var.region}-a."
  }
}

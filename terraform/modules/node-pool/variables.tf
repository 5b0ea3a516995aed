variable "cluster" {
  description = "Name of the cluster."
  type        = string
}

variable "labels" {
  description = "Labels of everything that takes labels; burst-farm among them says whose it is."
  type        = map(string)

  validation {
    condition     = contains(keys(var.labels), "burst-farm")
    error_message = "labels must have burst-farm, by which leftovers are found."
  }
}

variable "name" {
  description = "Name of the pool, which its nodes have as the label burst/pool."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$", var.name))
    error_message = "name must be at most 30 lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "node_account" {
  description = "Service account of the nodes: one with no more rights than nodes need."
  type        = string
}

variable "pool" {
  description = "What the pool is: the root farm takes a map of these."
  type = object({
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
  })

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z0-9-]+$", var.pool.machine))
    error_message = "machine must be a machine type such as n2d-standard-8; the pool ${var.name} has ${coalesce(var.pool.machine, "no machine")}."
  }

  validation {
    condition     = !can(regex("^(c4a|n4a|t2a)-", var.pool.machine))
    error_message = "machine must be for x86-64, as the image of the workers is; the pool ${var.name} has ${coalesce(var.pool.machine, "no machine")}, which is Arm."
  }

  validation {
    condition     = var.pool.maximum >= 1 && var.pool.maximum <= 5000 && floor(var.pool.maximum) == var.pool.maximum
    error_message = "maximum must be a whole number of nodes from 1 to 5000; the pool ${var.name} has ${var.pool.maximum}."
  }

  validation {
    condition     = var.pool.gpus >= 0 && var.pool.gpus <= 16 && floor(var.pool.gpus) == var.pool.gpus && (var.pool.gpus > 0) == (var.pool.gpu_type != "")
    error_message = "gpus must be a whole number up to 16, and gpu_type say of which kind, both or neither; the pool ${var.name} has gpus ${var.pool.gpus} and gpu_type \"${var.pool.gpu_type}\"."
  }

  validation {
    condition     = contains(var.pool.gpus > 0 ? ["DEFAULT", "LATEST"] : [""], var.pool.gpu_driver)
    error_message = "gpu_driver must be DEFAULT or LATEST where there are GPUs, and is left out where there are none: without a driver no worker of the pool ${var.name} would start."
  }

  validation {
    condition     = var.pool.gpus > 0 || !can(regex("^(a2|a3|a4|a4x|g2|g4)-", var.pool.machine))
    error_message = "gpus and gpu_type must say which GPUs the machine type ${coalesce(var.pool.machine, "no machine")} has, or no driver is installed for them (pool ${var.name})."
  }

  validation {
    condition     = length(distinct(var.pool.zones)) == length(var.pool.zones) && alltrue([for zone in var.pool.zones : can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", zone)) && substr(zone, 0, length(zone) - 2) == substr(var.zone, 0, length(var.zone) - 2)])
    error_message = "zones must be zones of the cluster's region, each once; the pool ${var.name} has ${join(", ", var.pool.zones)}, and the cluster is in ${var.zone}."
  }

  validation {
    condition     = var.pool.disk_gib >= 20 && var.pool.disk_gib <= 65536 && floor(var.pool.disk_gib) == var.pool.disk_gib
    error_message = "disk_gib must be a whole number from 20 to 65536: images alone take 10; the pool ${var.name} has ${var.pool.disk_gib}."
  }

  validation {
    condition     = contains(["", "hyperdisk-balanced", "pd-balanced", "pd-ssd", "pd-standard"], var.pool.disk_type)
    error_message = "disk_type must be hyperdisk-balanced, pd-balanced, pd-ssd or pd-standard, or be left out for what the machine takes; the pool ${var.name} has ${var.pool.disk_type}."
  }

  validation {
    condition     = !can(regex("^(c4|c4d|g4|n4|n4d)-", var.pool.machine)) || !startswith(var.pool.disk_type, "pd-")
    error_message = "disk_type must be hyperdisk-balanced, or left out: ${coalesce(var.pool.machine, "no machine")} (pool ${var.name}) takes no other disk."
  }

  validation {
    condition     = var.pool.local_ssds >= 0 && var.pool.local_ssds <= 32 && floor(var.pool.local_ssds) == var.pool.local_ssds
    error_message = "local_ssds must be a whole number from 0 to 32; the pool ${var.name} has ${var.pool.local_ssds}."
  }

  validation {
    condition     = var.pool.local_ssds == 0 || !can(regex("^(e2|n4|n4d|t2d)-", var.pool.machine))
    error_message = "local_ssds must be 0: ${coalesce(var.pool.machine, "no machine")} (pool ${var.name}) takes none."
  }

  validation {
    condition     = var.pool.memory_class >= 0 && floor(var.pool.memory_class) == var.pool.memory_class
    error_message = "memory_class must be a whole number, 0 or more; the pool ${var.name} has ${var.pool.memory_class}."
  }

  validation {
    condition     = var.pool.shutdown_seconds == null ? true : var.pool.spot && contains([30, 120], var.pool.shutdown_seconds)
    error_message = "shutdown_seconds must be 30 or 120, GKE knows no others, and only spot machines have it (pool ${var.name})."
  }

  validation {
    condition     = var.pool.longest_life_seconds == null ? true : var.pool.longest_life_seconds >= 600 && var.pool.longest_life_seconds <= 10368000 && floor(var.pool.longest_life_seconds) == var.pool.longest_life_seconds
    error_message = "longest_life_seconds must be a whole number from 600 (ten minutes) to 10368000 (120 days) (pool ${var.name})."
  }

  validation {
    condition     = alltrue([for key, value in var.pool.labels : can(regex("^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value))])
    error_message = "labels must be labels of Kubernetes, such as studio/kind = \"fast\" (pool ${var.name})."
  }

  validation {
    condition     = alltrue([for key in keys(var.pool.labels) : !can(regex("^(burst|([a-z0-9.-]+[.])?kubernetes[.]io|([a-z0-9.-]+[.])?k8s[.]io|cloud[.]google[.]com)/", key))])
    error_message = "labels must not begin with burst/, kubernetes.io/, k8s.io/ or cloud.google.com/: these are set by others (pool ${var.name})."
  }

  validation {
    condition     = alltrue([for taint in var.pool.taints : can(regex("^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", taint.key)) && contains(["NO_EXECUTE", "NO_SCHEDULE", "PREFER_NO_SCHEDULE"], taint.effect)])
    error_message = "taints must have a key, and an effect that is NO_SCHEDULE, PREFER_NO_SCHEDULE or NO_EXECUTE (pool ${var.name})."
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

variable "zone" {
  description = "Zone of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone))
    error_message = "zone must be a zone such as europe-west4-a: a regional cluster costs more, and is never free of its fee."
  }
}

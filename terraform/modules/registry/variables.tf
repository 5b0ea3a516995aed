variable "delete_days" {
  description = "Days after which older versions of an image are deleted."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.delete_days >= 1 && floor(var.delete_days) == var.delete_days
    error_message = "delete_days must be a whole number of days, 1 or more."
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

variable "keep" {
  description = "How many of the newest versions of each image are kept, however old they are."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.keep >= 1 && floor(var.keep) == var.keep
    error_message = "keep must be a whole number of versions, 1 or more: with none the images of a running farm would be deleted."
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

variable "readers" {
  description = "Who may pull images, by any name: members such as serviceAccount:…"
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for member in values(var.readers) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "readers must not be allUsers or allAuthenticatedUsers: images are the farm's own."
  }
}

variable "region" {
  description = "Region of the registry: that of the nodes, which pull nothing across regions then."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west4."
  }
}

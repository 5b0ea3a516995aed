variable "attempt_days" {
  description = "Days after which uploads that were never published are deleted."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.attempt_days >= 1 && var.attempt_days <= 365 && floor(var.attempt_days) == var.attempt_days
    error_message = "attempt_days must be a whole number of days from 1 to 365."
  }
}

variable "bucket" {
  description = "Name of the bucket with scenes, frames and logs; nobody else in the world may have it."
  type        = string

  validation {
    condition = (
      can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.bucket)) &&
      !startswith(var.bucket, "goog") && !strcontains(var.bucket, "google")
    )
    error_message = "bucket must be 3 to 63 lower case letters, digits, hyphens and underscores, without \"google\" in it, and begin and end with a letter or digit."
  }
}

variable "force_destroy" {
  description = "Delete all scenes and frames with the bucket. It must be applied before the destroy that it is for."
  type        = bool
  default     = false
  nullable    = false
}

variable "labels" {
  description = "Labels of everything that takes labels; burst-farm among them says whose it is."
  type        = map(string)

  validation {
    condition     = contains(keys(var.labels), "burst-farm")
    error_message = "labels must have burst-farm, by which leftovers are found."
  }
}

variable "preview_days" {
  description = "Days after which the small pictures of the console are deleted."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.preview_days >= 1 && var.preview_days <= 3650 && floor(var.preview_days) == var.preview_days
    error_message = "preview_days must be a whole number of days from 1 to 3650."
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

variable "region" {
  description = "Region of the bucket: that of the farm's machines, so that reading is free of charge."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west4, not a zone or a multi-region."
  }
}

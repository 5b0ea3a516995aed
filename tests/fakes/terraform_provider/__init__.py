"""A Terraform provider in Python that says it is hashicorp/google, for tests without a network.

It has the true schema of the pinned version (`schema.json`: names, types and flags, of the types
that ``terraform/`` uses) and makes the REST calls which the real one makes. A real provider takes
its place when ``BURST_TEST_TERRAFORM_MIRROR`` names the folder of a mirror that has one.

    messages, values   the plugin protocol: messages, and values as Terraform sends them
    schema             the types, their fields and what is known of each
    planning           what a change would do; decides, asks nobody
    mapping            a resource as Terraform has it, as Google's APIs have it, and back
    google, waiting    one call, with the retries of the real provider; operations that take time
    resources/         a module an API: what is called to make, read, change and delete
    servicer, plugin   the calls of Terraform; a process that takes them
    comparison         what two providers asked for, side by side
    mirror             a folder that Terraform installs it from
"""

"""The commands as their users write them: options and help, without the work."""

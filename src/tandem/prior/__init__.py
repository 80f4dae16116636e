"""What latents are drawn from where none are given, and how that is learned from the latents of real images."""

"""What image files hold, sample by sample, where Pillow would change or misread it."""

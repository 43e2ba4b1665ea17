"""Whether a dataset's labels are true: measured from what is stored, and from nothing else."""

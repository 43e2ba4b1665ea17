"""Looking at a dataset's labels: its pictures beside what is known about them."""

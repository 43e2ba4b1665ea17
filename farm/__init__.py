"""gaitfarm: what a gait dataset is, and the command line that makes and reads one."""

__version__ = "0.1.0"

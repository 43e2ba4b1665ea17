"""Datasets in the forms that others' tools read: WebDataset, Hugging Face, OpenSim files, Croissant metadata.

`run.export` chooses gaits and arrays, cuts them into pieces and writes these side by
side; what a piece looks like is each format's own file. None of them needs an engine.
"""

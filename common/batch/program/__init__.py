"""What runs inside the two processing jobs of a batch: records are checked before a transform, and joined after it.

It travels as a code archive of its own. Therefore it imports nothing of this repository but itself, and nothing that the
scikit-learn image lacks (Python 3.12, numpy, pyarrow); how a record is read is up to the code in the package's own artifact.
"""

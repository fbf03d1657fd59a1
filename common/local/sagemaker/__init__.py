"""SageMaker's operations, one module for each kind of resource; the server imports every module of this package.

A module may define `resume(aws)`, which is called once when a server starts on an existing state folder.
"""

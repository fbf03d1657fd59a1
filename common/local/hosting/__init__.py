"""How endpoints serve: worker processes in fleets, exact traffic splits, deployments, metrics and alarms."""

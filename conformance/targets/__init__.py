"""From a port's manifest to something that runs: select, build, start a new one."""

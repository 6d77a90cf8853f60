"""What a port author reads: the specification, the guide, C headers and schemas."""

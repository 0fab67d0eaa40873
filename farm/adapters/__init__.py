"""The world: Docker, child processes, the network, the disk. Each module satisfies a Protocol of `farm.ports`."""

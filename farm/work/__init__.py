"""One job, from gap to published wheel; effects only through `farm.ports`."""

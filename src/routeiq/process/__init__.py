"""What the processes under the supervisor share: the feed, servers of HTTP, questions to the control plane."""

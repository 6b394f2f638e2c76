module selfhealing.local/cluster/discovery

go 1.26.0

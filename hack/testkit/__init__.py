"""What all layers of tests share: waiting, a cluster, an operator process, a look at failures."""

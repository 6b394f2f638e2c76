"""The software bills of materials of the images."""

"""The asset graph: archive → raw → staging, bars and marts → published marts. One module per stage."""

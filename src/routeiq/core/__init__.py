"""Plain structs every room shares. Nothing here imports another room."""

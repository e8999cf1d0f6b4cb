"""New projects: a folder with networks, a first sweep file and a README, as `searchlab init` writes it."""

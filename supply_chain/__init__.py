"""What is known of the packages that this project installs; docs/supply-chain.md."""

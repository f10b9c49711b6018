"""The operations of the contract, a file for each noun."""

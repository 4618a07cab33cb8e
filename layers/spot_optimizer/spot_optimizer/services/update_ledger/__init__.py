"""The steps of a switch that write the ledger."""

"""The bundled engines and their contract."""

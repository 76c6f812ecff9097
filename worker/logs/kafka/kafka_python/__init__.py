"""kafka-python behind the protocols of `client`: the only modules that know the library.

`consumer`, `producer` and `admin` implement the protocols; `connect` makes them and `errors`
translates what the library raises. The others repair or bypass its internals, and are checked
against each new release: `decode` (batches), `last_bytes` (connections), `pending_join` (groups),
`library` (what is installed), `codecs` (batches that cannot be uncompressed).
"""

"""What people look at: sentences, tables, pictures. Returns text or bytes and writes nothing."""

//! `passport`, the native client.

fn main() {}

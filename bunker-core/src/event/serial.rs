//! An event as JSON text, byte for byte as its id hashes it.

/// Appends `[["…","…"],…]`.
pub(super) fn push_tags(out: &mut String, tags: &[Vec<String>]) {
    out.push('[');
    for (n, tag) in tags.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        out.push('[');
        for (n, item) in tag.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            push_string(out, item);
        }
        out.push(']');
    }
    out.push(']');
}

/// Appends a string with NIP-01's escapes.
pub(super) fn push_string(out: &mut String, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => {
                out.push_str(if c < '\u{10}' { "\\u000" } else { "\\u001" });
                out.extend(HEX.get(c as usize & 0xf));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

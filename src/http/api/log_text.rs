//! Output as text: every line without anything that could steer a terminal, and in large chunks.
//!
//! The common line is plain ASCII and goes through with one look and one copy.

use crate::app::log::{Batch, Place};
use crate::engine::ContainerLine;

/// How much is gathered before a chunk is sent, while more is at hand.
pub const CHUNK: usize = 64 * 1024;

/// How lines are written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Each line begins with its service and replica.
    pub places: bool,
}

/// Writes every line of a batch between `before` and `after`.
pub fn push(out: &mut Vec<u8>, batch: &Batch, style: Style, before: &[u8], after: &[u8]) {
    let place = if style.places { prefix(&batch.place) } else { String::new() };
    for line in &batch.lines {
        out.extend_from_slice(before);
        push_line(out, line, style, place.as_bytes());
        out.extend_from_slice(after);
    }
}

/// Writes every line of a batch as JSON strings, each after a comma but the very first.
pub fn push_json(out: &mut Vec<u8>, batch: &Batch, style: Style, is_first: &mut bool) {
    let place = if style.places { prefix(&batch.place) } else { String::new() };
    let mut text = Vec::new();
    for line in &batch.lines {
        text.clear();
        push_line(&mut text, line, style, place.as_bytes());
        if !std::mem::take(is_first) {
            out.push(b',');
        }
        let text = String::from_utf8_lossy(&text);
        serde_json::to_writer(&mut *out, &text).expect("text in memory can be written");
    }
}

fn prefix(place: &Place) -> String {
    format!("{}/{} | ", place.service, place.replica)
}

fn push_line(out: &mut Vec<u8>, line: &ContainerLine, style: Style, place: &[u8]) {
    if style.timestamps {
        let at = chrono::DateTime::from_timestamp_nanos(line.at_nanos);
        out.extend_from_slice(at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true).as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(place);
    push_clean(out, &line.text);
}

/// Writes `text` as valid UTF-8 without control characters other than tabs, and without terminals' escape sequences.
pub fn push_clean(out: &mut Vec<u8>, text: &[u8]) {
    let plain =
        text.iter().fold(true, |plain, byte| plain & (matches!(byte, 0x20..=0x7e) | (*byte == b'\t')));
    if plain {
        out.extend_from_slice(text);
        return;
    }
    let text = String::from_utf8_lossy(text);
    let mut characters = text.chars().peekable();
    let mut buffer = [0; 4];
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => skip_sequence(&mut characters),
            // What would break a line for some reader, or turn the text around, is as bad as a control character.
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '\t' => out.push(b'\t'),
            character if character.is_control() => {}
            character => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

/// Skips the rest of an escape sequence (ECMA-48, section 5.4): parameters, intermediates, one final character.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    characters.next();
    while let Some(next) = characters.peek() {
        match next {
            '\u{20}'..='\u{3f}' => characters.next(),
            '\u{40}'..='\u{7e}' => {
                characters.next();
                return;
            }
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::push_clean;

    fn clean(text: &[u8]) -> String {
        let mut out = Vec::new();
        push_clean(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_people_wrote_stays() {
        assert_eq!(clean(b"GET /predict 200\t3ms"), "GET /predict 200\t3ms");
        assert_eq!(clean("Größe: 5 µm → ok 🌸".as_bytes()), "Größe: 5 µm → ok 🌸");
        assert_eq!(clean(b"\x1b[1;31merror\x1b[0m: no"), "error: no");
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(clean(b"10%\r20%\r30%"), "10%20%30%");
        assert_eq!(clean(b"\x1b]0;title\x07text"), "]0;titletext");
        assert_eq!(clean("a\u{9b}31mb".as_bytes()), "a31mb");
        assert_eq!(clean(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(clean("user\u{202e}gpj.exe".as_bytes()), "usergpj.exe");
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_harmless_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(clean(&bytes).chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}

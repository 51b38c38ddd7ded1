//! Text that came from outside (an engine, a registry, a container) and is going into a log or onto a page.

/// The longest line that is kept, in characters.
const LONGEST: usize = 2_000;

/// One line of `text` without anything that could forge or hide lines: control characters (line ends, carriage
/// returns, escapes with their ANSI sequences, C1, and the Unicode marks that turn the direction of text) are gone,
/// tabs are spaces, and what is longer than 2,000 characters ends in `…`.
pub fn clean_line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(LONGEST));
    let (mut characters, mut kept) = (text.chars(), 0);
    while let Some(character) = characters.next() {
        if kept == LONGEST {
            clean.push('…');
            break;
        }
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\t' | '\n' => clean.push(' '),
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => continue,
            other if other.is_control() => continue,
            other => clean.push(other),
        }
        kept += 1;
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// The text with its first letter in upper case.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Skips `[`, parameters and the final letter of a CSI sequence, or the string of an OSC one.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    let mut ahead = characters.clone();
    match ahead.next() {
        Some('[') => {
            let end = ahead.position(|c| ('@'..='~').contains(&c));
            if end.is_some() {
                *characters = ahead;
            }
        }
        Some(']') => {
            let end = ahead.position(|c| c == '\u{7}' || c == '\\');
            if end.is_some() {
                *characters = ahead;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_forges_a_line() {
        assert_eq!(clean_line("a\rb\nc\td"), "ab c d");
        assert_eq!(clean_line("\u{1b}[31mred\u{1b}[0m!"), "red!");
        assert_eq!(clean_line("\u{1b}]0;title\u{7}x\u{202e}y\u{9b}z"), "xyz");
        assert_eq!(clean_line("open \u{1b}[31"), "open [31");
        assert_eq!(clean_line(&"ä".repeat(3_000)).chars().count(), LONGEST + 1);
    }

    proptest::proptest! {
        #[test]
        fn no_control_character_survives(text in ".*\\PC*") {
            let clean = clean_line(&text);
            proptest::prop_assert!(!clean.chars().any(char::is_control), "{clean:?}");
        }
    }
}

//! From the engine's frames to lines: a frame is one line with its time in front, or a part of a line longer than
//! 16 KiB; the last part ends with the line end.

use bytes::{Bytes, BytesMut};

use crate::engine::{ContainerLine, LogStream};

/// A line longer than this is given out in pieces.
const LONGEST: usize = 1 << 20;

/// Joins parts; one of each of the two outputs may be open.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    open: [Option<(i64, BytesMut)>; 2],
}

impl Joiner {
    /// Takes one frame; a line where it ends one.
    pub(super) fn take(&mut self, stream: LogStream, frame: Bytes) -> Option<ContainerLine> {
        let (at_nanos, mut text) = split_time(frame);
        let ends = text.last() == Some(&b'\n');
        if ends {
            text.truncate(text.len() - 1);
        }
        let open = &mut self.open[stream as usize];
        let Some((first, mut parts)) = open.take() else {
            if ends {
                return Some(ContainerLine { at_nanos, stream, text });
            }
            *open = Some((at_nanos, BytesMut::from(text)));
            return None;
        };
        parts.extend_from_slice(&text);
        if ends || parts.len() >= LONGEST {
            let text = parts.freeze();
            return Some(ContainerLine { at_nanos: first, stream, text });
        }
        *open = Some((first, parts));
        None
    }

    /// What is left open when the output ends.
    pub(super) fn finish(&mut self) -> Vec<ContainerLine> {
        let streams = [LogStream::Stdout, LogStream::Stderr];
        let open = streams.into_iter().filter_map(|stream| {
            let (at_nanos, parts) = self.open[stream as usize].take()?;
            let text = parts.freeze();
            Some(ContainerLine { at_nanos, stream, text })
        });
        open.collect()
    }
}

/// The time in front of a frame, and the rest. A frame without one keeps all its text, at 0.
fn split_time(mut frame: Bytes) -> (i64, Bytes) {
    // The shortest is 2026-11-21T02:46:46Z, the longest has nine digits of a second and an offset.
    let window = &frame[..frame.len().min(40)];
    let Some(space) = window.iter().position(|byte| *byte == b' ') else {
        return (0, frame);
    };
    match nanos(&frame[..space]) {
        Some(at) => {
            let _time = frame.split_to(space + 1);
            (at, frame)
        }
        None => (0, frame),
    }
}

/// Nanoseconds since the epoch of a time as the engine writes it: RFC 3339 in UTC with up to nine digits of a second.
fn nanos(text: &[u8]) -> Option<i64> {
    let number = |from: usize, to: usize| {
        text.get(from..to)?
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) || text.last() != Some(&b'Z') {
        return None;
    }
    let days = days_since_epoch(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    let end = text.len() - 1;
    let fraction = match text.get(19)? {
        b'Z' => 0,
        b'.' if end <= 29 => number(20, end)? * 10_i64.pow(u32::try_from(29 - end).ok()?),
        _ => return None,
    };
    Some(seconds * 1_000_000_000 + fraction)
}

/// Days from 1970-01-01 in the Gregorian calendar; years are counted from March, so that a leap day is the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59.5Z",
            "2024-02-29T12:00:00.000000001Z",
            "2026-11-21T02:46:46.544796081Z",
            "2026-12-31T23:59:59.999999999Z",
            "2100-03-01T00:00:00.1Z",
        ] {
            let expected = chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt();
            assert_eq!(nanos(text.as_bytes()), expected, "{text}");
        }
        for bad in [
            "",
            "now",
            "2026-11-21 02:46:46Z",
            "2026-11-21T02:46:46",
            "2026-11-21T02:46:46.1234567890Z",
            "2026-11-21T02:46:4xZ",
        ] {
            assert_eq!(nanos(bad.as_bytes()), None, "{bad}");
        }
    }

    fn frame(text: &str) -> Bytes {
        Bytes::from(format!("2026-11-21T02:46:46.5Z {text}"))
    }

    #[test]
    fn parts_of_a_long_line_are_joined_whatever_the_other_output_says() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(LogStream::Stdout, frame("one, ")), None);
        let between = joiner.take(LogStream::Stderr, frame("oops\n")).unwrap();
        assert_eq!(between.text, "oops");
        assert_eq!(joiner.take(LogStream::Stdout, frame("two, ")), None);
        let line = joiner.take(LogStream::Stdout, frame("three\n")).unwrap();
        assert_eq!(line.text, "one, two, three");
        assert_eq!(joiner.finish(), []);
    }

    #[test]
    fn what_has_no_end_is_given_out_at_the_end() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(LogStream::Stdout, frame("half")), None);
        assert_eq!(joiner.finish()[0].text, "half");
        let empty = joiner.take(LogStream::Stdout, frame("\n")).unwrap();
        assert_eq!(empty.text, "");
    }

    #[test]
    fn a_line_has_a_longest_piece() {
        let mut joiner = Joiner::default();
        let part = "x".repeat(16 << 10);
        let pieces = (0..128).filter_map(|_| joiner.take(LogStream::Stdout, frame(&part)));
        let lengths: Vec<usize> = pieces.map(|line| line.text.len()).collect();
        assert_eq!(lengths, [LONGEST, LONGEST]);
    }
}

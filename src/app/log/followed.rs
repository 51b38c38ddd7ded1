//! What is known of one replica's output while it is followed.
//!
//! An engine that rotates a log while somebody follows it slowly may skip a whole file of it, give one a second time, or
//! end before the end (Docker 20.10 does all three). What it reads from its files at the beginning of a stream is whole.
//! So a stream that looks as if that happened is given up and opened anew from the last line that was handed on; when
//! the engine no longer has that line, what is missing is marked.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::engine::{ContainerLine, LogStream};

const MILLISECOND: i64 = 1_000_000;
/// Lines of both outputs come this much out of order at most; more is a file that is read again.
const DISORDER: i64 = 100 * MILLISECOND;
/// A reader that is this far behind may have missed a rotation…
const BEHIND: i64 = 1_000 * MILLISECOND;
/// …between two lines that are this far apart.
const APART: i64 = 100 * MILLISECOND;

/// Stands where lines are missing.
const GAP: &str = "[lines are missing here: the engine had rotated them away before they could be read]";

/// One container's or pod's output.
pub(super) struct Followed {
    /// Whether it is being read.
    pub open: bool,
    /// Whether what an ended replica wrote last was read from the engine's files.
    pub drained: bool,
    /// Which stream of it is the current one.
    pub generation: u64,
    /// Ends the current stream.
    pub stop: CancellationToken,
    /// The time of the newest line that was handed on.
    last: Option<i64>,
    /// When the current stream was opened: older lines come from files.
    opened: i64,
    /// Whether the next line should be the last one handed on.
    resumed: bool,
    /// Whether lines come that were handed on already.
    again: bool,
}

/// What became of some lines.
pub(super) struct Taken {
    /// To be handed on.
    pub lines: Vec<ContainerLine>,
    /// Whether the stream can't be trusted any longer.
    pub broken: bool,
}

impl Followed {
    /// A stream that was opened just now, after `before` of the same replica.
    pub fn opened(before: Option<&Self>, drained: bool, now: i64) -> Self {
        let last = before.and_then(|before| before.last);
        Self {
            open: true,
            drained,
            generation: before.map_or(0, |before| before.generation + 1),
            stop: CancellationToken::new(),
            last,
            opened: now,
            resumed: last.is_some(),
            again: last.is_some(),
        }
    }

    /// The time of the newest line that was handed on.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Takes what the stream gave at the time `now`.
    pub fn take(&mut self, given: Vec<ContainerLine>, now: i64) -> Taken {
        let mut taken = Taken { lines: Vec::with_capacity(given.len()), broken: false };
        for line in given {
            if self.is_known(&line, &mut taken.lines) {
                continue;
            }
            if self.is_suspect(line.at_nanos, now) {
                taken.broken = true;
                break;
            }
            self.last = Some(self.last.map_or(line.at_nanos, |last| last.max(line.at_nanos)));
            taken.lines.push(line);
        }
        taken
    }

    /// Whether a line was handed on before the stream was opened anew; marks the gap where the first is not.
    fn is_known(&mut self, line: &ContainerLine, out: &mut Vec<ContainerLine>) -> bool {
        let Some(last) = self.last else { return false };
        if std::mem::take(&mut self.resumed) && line.at_nanos > last {
            let text = Bytes::from_static(GAP.as_bytes());
            out.push(ContainerLine { at_nanos: line.at_nanos, stream: LogStream::Stderr, text });
        }
        self.again &= line.at_nanos <= last;
        self.again
    }

    fn is_suspect(&self, at: i64, now: i64) -> bool {
        let Some(last) = self.last else { return false };
        let reread = at + DISORDER < last;
        let skipped = at > self.opened && at - last > APART && now - at > BEHIND;
        reread || skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000 * MILLISECOND;

    fn lines(times: &[i64]) -> Vec<ContainerLine> {
        let line = |at: &i64| ContainerLine {
            at_nanos: *at,
            stream: LogStream::Stdout,
            text: Bytes::from(at.to_string()),
        };
        times.iter().map(line).collect()
    }

    fn times(taken: &Taken) -> Vec<i64> {
        taken.lines.iter().map(|line| line.at_nanos).collect()
    }

    fn marked(taken: &Taken) -> bool {
        taken.lines.iter().any(|line| line.text == GAP.as_bytes())
    }

    #[test]
    fn history_and_what_comes_in_time_pass_whatever_lies_between() {
        let mut followed = Followed::opened(None, false, 1_000 * SECOND);
        let taken = followed.take(lines(&[1, 1, 5 * SECOND, 990 * SECOND]), 1_000 * SECOND);
        assert_eq!((taken.lines.len(), taken.broken), (4, false));
        let late = followed.take(lines(&[1_500 * SECOND, 1_499_990 * MILLISECOND]), 1_500 * SECOND);
        assert_eq!((late.lines.len(), late.broken), (2, false), "two outputs may be a little out of order");
    }

    #[test]
    fn a_file_that_is_read_again_or_skipped_breaks_the_stream() {
        let now = 100 * SECOND;
        for bad in [51 * SECOND, 59 * SECOND] {
            let mut followed = Followed::opened(None, false, 50 * SECOND);
            let taken = followed.take(lines(&[52 * SECOND, bad, 60 * SECOND]), now);
            assert!(taken.broken, "{bad}");
            assert_eq!(times(&taken), [52 * SECOND], "what comes after is read anew");
        }
    }

    #[test]
    fn a_stream_that_is_opened_anew_goes_on_where_the_other_broke() {
        let mut first = Followed::opened(None, false, 0);
        first.take(lines(&[1, 2, 3]), 3);
        let mut second = Followed::opened(Some(&first), false, 10 * SECOND);
        let taken = second.take(lines(&[3, 4, 4]), 10 * SECOND);
        assert_eq!((times(&taken), marked(&taken)), (vec![4, 4], false));

        let mut third = Followed::opened(Some(&second), false, 10 * SECOND);
        let taken = third.take(lines(&[7, 8]), 10 * SECOND);
        assert!(marked(&taken), "the engine has the last line no more");
        assert_eq!(times(&taken), [7, 7, 8]);
        assert_eq!(third.last(), Some(8));
    }
}

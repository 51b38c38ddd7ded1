//! What is known of one replica's output while it is followed.
//!
//! An engine that rotates a log while somebody follows it slowly may skip a whole file of it, give one a second time, or
//! end before the end (Docker 20.10 does all three). What it reads from its files at the beginning of a stream is whole.
//! So a stream that looks as if that happened is given up and opened anew from the last line that was handed on; when
//! the engine no longer has that line, what is missing is marked.

use std::cmp::Ordering;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Mark;
use crate::engine::{ContainerLine, LogStream};

const MILLISECOND: i64 = 1_000_000;
/// Lines of both outputs come this much out of order at most; more is a file that is read again.
const DISORDER: i64 = 100 * MILLISECOND;
/// A reader that is this far behind may have missed a rotation…
const BEHIND: i64 = 1_000 * MILLISECOND;
/// …between two lines that are this far apart.
const APART: i64 = 100 * MILLISECOND;

/// A reader that was still catching up this shortly before the end of a stream may not have had the last of it.
const SHORTLY: i64 = 200 * MILLISECOND;

/// Stands where the engine no longer had the last line that was handed on.
const ROTATED: &str = "[lines are missing here: the engine had rotated them away before they could be read]";
/// Stands where a replica went away before its last lines could be read.
const REMOVED: &str =
    "[lines may be missing here: the replica was removed before its last ones could be read]";

/// Whether a line stands for lines that are missing.
pub fn is_gap(line: &ContainerLine) -> bool {
    [ROTATED, REMOVED].iter().any(|gap| line.text == gap.as_bytes())
}

/// The line that stands for a removed replica's last ones.
pub(super) fn removed(at_nanos: i64) -> ContainerLine {
    ContainerLine { at_nanos, stream: LogStream::Stderr, text: Bytes::from_static(REMOVED.as_bytes()) }
}

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
    /// The newest line that was handed on.
    last: Option<Mark>,
    /// When the current stream was opened: older lines come from files.
    opened: i64,
    /// Whether the next line should be the last one handed on.
    resumed: bool,
    /// The lines of `last` that are still to come a second time; `None` once newer ones come.
    again: Option<u32>,
    /// When lines were last taken that were old by then.
    late: Option<i64>,
    /// Whether it was given up, or ended while its reader was catching up: more is to be read.
    unfinished: bool,
}

/// What became of some lines.
pub(super) struct Taken {
    /// To be handed on.
    pub lines: Vec<ContainerLine>,
    /// Whether the stream can't be trusted any longer.
    pub broken: bool,
}

impl Followed {
    /// A stream that was opened just now and begins with the line at `last`.
    pub fn opened(generation: u64, last: Option<Mark>, drained: bool, now: i64) -> Self {
        Self {
            open: true,
            drained,
            generation,
            stop: CancellationToken::new(),
            last,
            opened: now,
            resumed: last.is_some(),
            again: last.map(|mark| mark.count),
            late: None,
            unfinished: false,
        }
    }

    /// The newest line that was handed on.
    pub fn last(&self) -> Option<Mark> {
        self.last
    }

    /// The stream was given up.
    pub fn give_up(&mut self) {
        self.open = false;
        self.unfinished = true;
        self.stop.cancel();
    }

    /// The stream came to its end at the time `now`.
    pub fn ended(&mut self, now: i64) {
        self.open = false;
        self.unfinished = self.late.is_some_and(|late| now - late < SHORTLY);
    }

    /// What stands for the lines that are lost when the replica is gone now, where there may be any.
    pub fn lost(&self, now: i64) -> Option<ContainerLine> {
        (self.unfinished && !self.drained).then(|| removed(now))
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
            self.last = Some(Mark::after(self.last, line.at_nanos));
            taken.lines.push(line);
        }
        self.late = taken.lines.last().filter(|line| now - line.at_nanos > BEHIND).map(|_| now);
        taken
    }

    /// Whether a line was handed on before the stream was opened anew; marks the gap where the first is not.
    fn is_known(&mut self, line: &ContainerLine, out: &mut Vec<ContainerLine>) -> bool {
        let (Some(last), Some(left)) = (self.last, self.again) else { return false };
        let at_nanos = line.at_nanos;
        if std::mem::take(&mut self.resumed) && at_nanos > last.at_nanos {
            let text = Bytes::from_static(ROTATED.as_bytes());
            out.push(ContainerLine { at_nanos, stream: LogStream::Stderr, text });
        }
        self.again = match at_nanos.cmp(&last.at_nanos) {
            Ordering::Less => Some(left),
            Ordering::Equal if left > 0 => Some(left - 1),
            Ordering::Equal | Ordering::Greater => None,
        };
        self.again.is_some()
    }

    fn is_suspect(&self, at: i64, now: i64) -> bool {
        let Some(Mark { at_nanos: last, .. }) = self.last else { return false };
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
        taken.lines.iter().any(is_gap)
    }

    #[test]
    fn history_and_what_comes_in_time_pass_whatever_lies_between() {
        let mut followed = Followed::opened(0, None, false, 1_000 * SECOND);
        let taken = followed.take(lines(&[1, 1, 5 * SECOND, 990 * SECOND]), 1_000 * SECOND);
        assert_eq!((taken.lines.len(), taken.broken), (4, false));
        let late = followed.take(lines(&[1_500 * SECOND, 1_499_990 * MILLISECOND]), 1_500 * SECOND);
        assert_eq!((late.lines.len(), late.broken), (2, false), "two outputs may be a little out of order");
    }

    #[test]
    fn a_file_that_is_read_again_or_skipped_breaks_the_stream() {
        let now = 100 * SECOND;
        for bad in [51 * SECOND, 59 * SECOND] {
            let mut followed = Followed::opened(0, None, false, 50 * SECOND);
            let taken = followed.take(lines(&[52 * SECOND, bad, 60 * SECOND]), now);
            assert!(taken.broken, "{bad}");
            assert_eq!(times(&taken), [52 * SECOND], "what comes after is read anew");
        }
    }

    #[test]
    fn a_stream_that_is_opened_anew_goes_on_where_the_other_broke() {
        let mut first = Followed::opened(0, None, false, 0);
        first.take(lines(&[1, 2, 3, 3]), 3);
        let mut second = Followed::opened(1, first.last(), false, 10 * SECOND);
        let taken = second.take(lines(&[3, 3, 3, 4, 4]), 10 * SECOND);
        assert_eq!((times(&taken), marked(&taken)), (vec![3, 4, 4], false), "two of the moment 3 were known");

        let mut third = Followed::opened(2, second.last(), false, 10 * SECOND);
        let taken = third.take(lines(&[7, 8]), 10 * SECOND);
        assert!(marked(&taken), "the engine has the last line no more");
        assert_eq!(times(&taken), [7, 7, 8]);
        assert_eq!(third.last(), Some(Mark { at_nanos: 8, count: 1 }));
    }

    #[test]
    fn what_is_removed_before_it_was_read_to_its_end_leaves_a_mark() {
        let now = 100 * SECOND;
        let opened = || Followed::opened(0, None, false, 50 * SECOND);
        let mut quiet = opened();
        quiet.take(lines(&[60 * SECOND]), 60 * SECOND);
        quiet.ended(now);
        assert!(quiet.lost(now).is_none(), "it had nothing more to say");

        let mut slow = opened();
        slow.take(lines(&[60 * SECOND]), now);
        slow.ended(now + 10 * MILLISECOND);
        assert!(slow.lost(now).is_some_and(|line| is_gap(&line)), "its reader was 40 s behind");

        let mut broken = opened();
        broken.take(lines(&[60 * SECOND, 51 * SECOND]), now);
        broken.give_up();
        assert!(broken.lost(now).is_some());
        let mut drained = Followed::opened(1, broken.last(), true, now);
        drained.take(lines(&[60 * SECOND, 70 * SECOND]), now);
        drained.ended(now);
        assert!(drained.lost(now).is_none(), "all of it was read from the engine's files");
    }
}

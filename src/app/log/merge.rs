//! Several replicas' histories as one, by the engine's own time. Only a batch of each is held.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::collections::VecDeque;

use super::{Batch, RawLines, Whose, engine_failed, nothing};
use crate::domain::Result;
use crate::engine::{ContainerLine, EngineError};

/// One replica's history, and its lines that were read and not handed on.
struct Source {
    whose: Whose,
    lines: RawLines,
    read: VecDeque<ContainerLine>,
}

impl Source {
    /// The time of its next line; `None` at its end.
    async fn next_time(&mut self) -> Result<Option<i64>> {
        while self.read.is_empty() {
            match self.lines.next().await {
                Some(Ok(lines)) => self.read.extend(lines),
                Some(Err(EngineError::NoSuchSlot)) | None => return Ok(None),
                Some(Err(error)) => return Err(engine_failed(&error)),
            }
        }
        Ok(self.read.front().map(|line| line.at_nanos))
    }

    /// What it has read up to `time`, at least one line.
    fn take_until(&mut self, time: i64) -> Vec<ContainerLine> {
        let mut lines = Vec::new();
        while let Some(line) = self.read.pop_front() {
            lines.push(line);
            if self.read.front().is_none_or(|next| next.at_nanos > time) {
                break;
            }
        }
        lines
    }
}

/// Merges histories, each of which is in order.
pub fn by_time(sources: Vec<(Whose, RawLines)>) -> BoxStream<'static, Result<Batch>> {
    if sources.is_empty() {
        return nothing();
    }
    let sources: Vec<Source> =
        sources.into_iter().map(|(whose, lines)| Source { whose, lines, read: VecDeque::new() }).collect();
    stream::try_unfold(sources, |mut sources| async move {
        let batch = next(&mut sources).await?;
        Ok(batch.map(|batch| (batch, sources)))
    })
    .boxed()
}

/// The lines of the source that is first in time, as far as no other one comes before them.
async fn next(sources: &mut Vec<Source>) -> Result<Option<Batch>> {
    let mut times = Vec::with_capacity(sources.len());
    let mut at = 0;
    while at < sources.len() {
        match sources[at].next_time().await? {
            Some(time) => {
                times.push(time);
                at += 1;
            }
            None => {
                sources.remove(at);
            }
        }
    }
    let Some((first, _)) = times.iter().enumerate().min_by_key(|(_, time)| **time) else {
        return Ok(None);
    };
    let others = times.iter().enumerate().filter(|(at, _)| *at != first);
    let until = others.map(|(_, time)| *time).min().unwrap_or(i64::MAX);
    let source = &mut sources[first];
    let lines = source.take_until(until);
    Ok(Some(source.whose.batch(lines)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::TryStreamExt as _;

    use std::sync::Arc;

    use super::super::Place;
    use super::*;
    use crate::domain::name::ServiceName;
    use crate::engine::LogStream;

    fn source(service: &str, batches: &[&[i64]]) -> (Whose, RawLines) {
        let place = Place { service: ServiceName::parse(service).unwrap(), replica: 1 };
        let line = |at: &i64| ContainerLine {
            at_nanos: *at,
            stream: LogStream::Stdout,
            text: Bytes::from(at.to_string()),
        };
        let batches: Vec<_> = batches.iter().map(|batch| Ok(batch.iter().map(line).collect())).collect();
        (Whose { place: Arc::new(place), source: service.into() }, stream::iter(batches).boxed())
    }

    async fn merged(sources: Vec<(Whose, RawLines)>) -> Vec<(String, i64)> {
        let batches: Vec<Batch> = by_time(sources).try_collect().await.unwrap();
        let lines = batches.iter().flat_map(|batch| {
            batch.lines.iter().map(|line| (batch.place.service.to_string(), line.at_nanos))
        });
        lines.collect()
    }

    #[tokio::test]
    async fn lines_come_in_the_order_of_their_times() {
        let sources =
            vec![source("a", &[&[1, 4], &[], &[9, 10]]), source("b", &[&[2, 3, 5], &[6]]), source("c", &[])];
        let times: Vec<i64> = merged(sources).await.into_iter().map(|(_, at)| at).collect();
        assert_eq!(times, [1, 2, 3, 4, 5, 6, 9, 10]);
    }

    #[tokio::test]
    async fn lines_of_one_moment_are_all_there() {
        let sources = vec![source("a", &[&[1, 1], &[1]]), source("b", &[&[1]])];
        assert_eq!(merged(sources).await.len(), 4);
        assert!(merged(Vec::new()).await.is_empty());
    }
}

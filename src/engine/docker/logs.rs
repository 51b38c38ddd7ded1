//! A container's output. What the engine gives within a moment is handed on as one batch, so that a fast log costs little
//! a line and a slow one waits for next to nothing.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, Fuse, StreamExt};

use crate::engine::docker::Core;
use crate::engine::docker::lines::Joiner;
use crate::engine::{ContainerLine, EngineError, EngineResult, LogOptions, LogStream, SlotRef};

/// The most frames of one batch.
const BATCH: usize = 2_048;
/// How long a batch waits for more. The engine sends each line by itself: handed on one by one they would cost each
/// reader behind this a wake-up a line.
const LINGER: Duration = Duration::from_millis(2);

type Frames = Fuse<BoxStream<'static, Result<LogOutput, bollard::errors::Error>>>;

impl Core {
    pub(super) async fn slot_logs(
        self: &std::sync::Arc<Self>,
        slot: &SlotRef,
        options: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        let id = self.found(slot).await?.state.engine_id;
        let docker = self.client.docker().await?;
        let frames = docker.logs(&id, Some(query(options))).boxed().fuse();
        let window = Window::new(options);
        let core = std::sync::Arc::clone(self);
        let state = Reading::Frames(frames, Joiner::default());
        let batches = stream::unfold(state, move |state| {
            let core = std::sync::Arc::clone(&core);
            async move {
                let (mut frames, mut joiner) = match state {
                    Reading::Frames(frames, joiner) => (frames, joiner),
                    Reading::Failed(error) => return Some((Err(error), Reading::Over)),
                    Reading::Over => return None,
                };
                let Some(chunk) = next_frames(&mut frames).await else {
                    return Some((Ok(joiner.finish()), Reading::Over));
                };
                let mut lines = Vec::with_capacity(chunk.len());
                for frame in chunk {
                    match frame {
                        Ok(frame) => lines.extend(line(&mut joiner, frame)),
                        // What came before is given out first.
                        Err(error) => return Some((Ok(lines), Reading::Failed(core.client.failure(error)))),
                    }
                }
                Some((Ok(lines), Reading::Frames(frames, joiner)))
            }
        });
        let kept = batches.map(move |batch| batch.map(|lines| window.keep(lines)));
        Ok(kept.filter(|batch| std::future::ready(!matches!(batch, Ok(lines) if lines.is_empty()))).boxed())
    }
}

/// Where the reading of an output stands.
enum Reading {
    Frames(Frames, Joiner),
    Failed(EngineError),
    Over,
}

/// The next frame and those that follow within [`LINGER`]; `None` at the end.
async fn next_frames(frames: &mut Frames) -> Option<Vec<Result<LogOutput, bollard::errors::Error>>> {
    let mut chunk = vec![frames.next().await?];
    let mut over = std::pin::pin!(tokio::time::sleep(LINGER));
    while chunk.len() < BATCH {
        tokio::select! {
            biased;
            frame = frames.next() => match frame {
                Some(frame) => chunk.push(frame),
                None => break,
            },
            () = &mut over => break,
        }
    }
    Some(chunk)
}

fn line(joiner: &mut Joiner, frame: LogOutput) -> Option<ContainerLine> {
    match frame {
        LogOutput::StdErr { message } => joiner.take(LogStream::Stderr, message),
        LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
            joiner.take(LogStream::Stdout, message)
        }
    }
}

fn query(options: &LogOptions) -> LogsOptions {
    let seconds = |at: DateTime<Utc>| i32::try_from(at.timestamp()).unwrap_or(i32::MAX);
    LogsOptions {
        follow: options.follow,
        stdout: true,
        stderr: true,
        timestamps: true,
        since: options.since.map_or(0, seconds),
        // The engine counts whole seconds; the rest is cut off here.
        until: options.until.map_or(0, |until| seconds(until).saturating_add(1)),
        tail: options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
    }
}

/// The exact times asked for.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: i64,
    until: i64,
}

impl Window {
    fn new(options: &LogOptions) -> Self {
        let nanos = |at: Option<DateTime<Utc>>| at.and_then(|at| at.timestamp_nanos_opt());
        Self {
            since: nanos(options.since).unwrap_or(i64::MIN),
            until: nanos(options.until).unwrap_or(i64::MAX),
        }
    }

    fn keep(self, mut lines: Vec<ContainerLine>) -> Vec<ContainerLine> {
        if self.since != i64::MIN || self.until != i64::MAX {
            lines.retain(|line| (self.since..self.until).contains(&line.at_nanos));
        }
        lines
    }
}

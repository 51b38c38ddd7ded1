//! A pod's output, with what its container wrote before its last restart.
//!
//! The API gives both outputs as one, so all of it counts as standard output.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::AsyncBufReadExt as _;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff;
use kube::api::LogParams;

use super::Core;
use super::spec::container;
use crate::domain::clock::Timestamp;
use crate::engine::{ContainerLine, EngineError, EngineResult, LogOptions, LogStream, SlotRef};

/// The most lines of one batch.
const BATCH: usize = 2_048;
/// How long a batch waits for more.
const LINGER: Duration = Duration::from_millis(2);
/// The longest line; the rest of a longer one is its next.
const LONGEST: usize = 1 << 20;

type Lines = BoxStream<'static, EngineResult<ContainerLine>>;

impl Core {
    pub(super) async fn slot_logs(
        self: &Arc<Self>,
        slot: &SlotRef,
        options: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        let (name, restarts) = self.pod_of(slot).await?;
        let current = self.lines(&name, &parameters(options, false)).await?;
        let (since, until) = (nanos(options.since, i64::MIN), nanos(options.until, i64::MAX));
        let within = move |line: &EngineResult<ContainerLine>| {
            let keep = line.as_ref().map_or(true, |line| (since..until).contains(&line.at_nanos));
            std::future::ready(keep)
        };
        let lines = match self.earlier(&name, restarts, options).await {
            Some(earlier) => earlier.chain(current).boxed(),
            None => current,
        };
        let over = move |line: &EngineResult<ContainerLine>| {
            let going = line.as_ref().map_or(true, |line| line.at_nanos < until);
            std::future::ready(going)
        };
        Ok(batches(lines.take_while(over).filter(within)).boxed())
    }

    /// What the container wrote before its last restart, where all of the log was asked for.
    async fn earlier(&self, name: &str, restarts: u32, options: &LogOptions) -> Option<Lines> {
        if restarts == 0 || options.tail.is_some() {
            return None;
        }
        // The kubelet may have removed that container: then there is nothing to add.
        let earlier = LogParams { follow: false, ..parameters(options, true) };
        self.lines(name, &earlier).await.ok()
    }

    async fn lines(&self, name: &str, parameters: &LogParams) -> EngineResult<Lines> {
        let api = self.objects::<Pod>().await?;
        let opened = self.client.call("reading a log", || api.log_stream(name, parameters)).await;
        let reader = opened.map_err(|error| match error {
            // Pods that have not begun, or are gone.
            EngineError::Refused(_) => EngineError::NoSuchSlot,
            other => other,
        })?;
        let reading = Reading { reader: Box::pin(reader), begins: true };
        Ok(stream::unfold(Some(reading), |reading| async move { reading?.next().await }).boxed())
    }

    /// The name of a slot's pod, and how often its container was started again.
    pub(super) async fn pod_of(&self, slot: &SlotRef) -> EngineResult<(String, u32)> {
        let found = self.find_pod(slot).await?;
        let restarts = super::pod::main(&found).map_or(0, |main| main.restart_count);
        Ok((found.metadata.name.unwrap_or_default(), u32::try_from(restarts).unwrap_or(0)))
    }
}

/// One container's output while it is read.
struct Reading<R> {
    reader: R,
    /// Whether the next bytes begin a line: they are no rest of a long one.
    begins: bool,
}

impl<R: futures_util::AsyncBufRead + Unpin> Reading<R> {
    /// The next line. What begins without a time is no line of the container but the node's own word on why it can't read
    /// on, as when the container is removed meanwhile: it ends the log.
    async fn next(mut self) -> Option<(EngineResult<ContainerLine>, Option<Self>)> {
        let mut line = Vec::new();
        let ended = match read_line(&mut self.reader, &mut line).await {
            Ok(ended) => ended?,
            Err(failed) => {
                return Some((Err(EngineError::Unreachable(format!("a log broke off: {failed}"))), None));
            }
        };
        let line = parse(line);
        if self.begins && line.at_nanos == 0 {
            let words = String::from_utf8_lossy(&line.text);
            tracing::debug!(words = &*words, "the node ends a log");
            return None;
        }
        self.begins = ended;
        Some((Ok(line), Some(self)))
    }
}

/// Reads up to a line's end, which is left out; whether that was reached before the line got too long. `None` at the end
/// of all.
async fn read_line(
    reader: &mut (impl futures_util::AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<Option<bool>> {
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok((!line.is_empty()).then_some(true));
        }
        let (used, ends) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        line.extend_from_slice(&buffer[..used]);
        reader.consume_unpin(used);
        if ends {
            line.pop();
            return Ok(Some(true));
        }
        if line.len() >= LONGEST {
            return Ok(Some(false));
        }
    }
}

fn parse(line: Vec<u8>) -> ContainerLine {
    let space = memchr::memchr(b' ', &line[..line.len().min(40)]);
    let time = space.and_then(|at| std::str::from_utf8(&line[..at]).ok()?.parse::<jiff::Timestamp>().ok());
    let line = Bytes::from(line);
    match (space, time) {
        (Some(at), Some(time)) => ContainerLine {
            at_nanos: i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX),
            stream: LogStream::Stdout,
            text: line.slice(at + 1..),
        },
        _ => ContainerLine { at_nanos: 0, stream: LogStream::Stdout, text: line },
    }
}

fn parameters(options: &LogOptions, previous: bool) -> LogParams {
    // The API counts whole seconds here and there; the rest is cut off above.
    let since = options.since.and_then(|at| jiff::Timestamp::from_second(at.timestamp()).ok());
    LogParams {
        container: Some(container::NAME.into()),
        follow: options.follow,
        previous,
        since_time: since,
        tail_lines: options.tail.map(i64::from),
        timestamps: true,
        ..LogParams::default()
    }
}

fn nanos(at: Option<Timestamp>, default: i64) -> i64 {
    at.and_then(|at| at.timestamp_nanos_opt()).unwrap_or(default)
}

/// What comes within [`LINGER`] together.
fn batches(
    lines: impl Stream<Item = EngineResult<ContainerLine>> + Send + 'static,
) -> impl Stream<Item = EngineResult<Vec<ContainerLine>>> + Send {
    let lines = Box::pin(lines.fuse());
    stream::unfold((lines, None), |(mut lines, failed)| async move {
        if let Some(failed) = failed {
            return Some((Err(failed), (lines, None)));
        }
        let mut batch = match lines.next().await? {
            Ok(line) => vec![line],
            Err(failed) => return Some((Err(failed), (lines, None))),
        };
        let mut over = std::pin::pin!(tokio::time::sleep(LINGER));
        let mut failed = None;
        while batch.len() < BATCH {
            tokio::select! {
                biased;
                line = lines.next() => match line {
                    Some(Ok(line)) => batch.push(line),
                    Some(Err(error)) => {
                        failed = Some(error);
                        break;
                    }
                    None => break,
                },
                () = &mut over => break,
            }
        }
        Some((Ok(batch), (lines, failed)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8]) -> Vec<String> {
        let reader = futures_util::io::BufReader::with_capacity(4_096, text);
        let reading = Reading { reader, begins: true };
        let lines = stream::unfold(Some(reading), |reading| async move { reading?.next().await });
        let lines: Vec<_> = lines.collect().await;
        lines.into_iter().map(|line| String::from_utf8(line.unwrap().text.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn the_nodes_own_words_end_a_log_and_are_no_line_of_it() {
        let text = b"2026-01-01T00:00:00.5Z up\n2026-01-01T00:00:01Z \nrpc error: code = Unknown desc = Error: No such container: 57\n";
        assert_eq!(read(text).await, ["up", ""]);
        assert_eq!(read(b"unable to retrieve container logs for docker://57").await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn the_rest_of_a_long_line_is_its_next() {
        let long = [
            b"2026-01-01T00:00:00Z ".to_vec(),
            vec![b'x'; LONGEST + 5],
            b"\n2026-01-01T00:00:01Z next".to_vec(),
        ];
        let lines = read(&long.concat()).await;
        assert_eq!(lines.len(), 3);
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), LONGEST + 5 + "next".len());
        assert_eq!(lines.last().unwrap(), "next");
    }
}

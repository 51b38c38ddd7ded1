//! Where a reader is in the output of each replica. A stream that broke goes on from there: no line comes twice, none is
//! left out, and what went away meanwhile is known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Batch, Place, is_gap};
use crate::domain::name::ServiceName;
use crate::engine::ContainerLine;

/// This much of the end of an engine's id tells replicas apart.
const ENOUGH: usize = 16;

/// The newest line of a replica that was handed on, and how many lines of that very moment were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub at_nanos: i64,
    pub count: u32,
}

impl Mark {
    /// After a line at this time.
    pub fn after(before: Option<Self>, at_nanos: i64) -> Self {
        match before {
            Some(mark) if mark.at_nanos > at_nanos => mark,
            Some(mark) if mark.at_nanos == at_nanos => Self { count: mark.count.saturating_add(1), ..mark },
            _ => Self { at_nanos, count: 1 },
        }
    }
}

/// The mark of each replica that anything was read of. As text it is `api.1.3f2a91bc04d1e6f7.1763724000123456789.1`
/// (service, replica, id, time, count), several with `~` between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<String, (Place, Mark)>);

impl Position {
    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mark of a replica, by its id on the engine.
    pub fn of(&self, id: &str) -> Option<Mark> {
        self.0.get(end_of(id)).map(|(_, mark)| *mark)
    }

    /// Goes on over these lines of `batch`.
    pub fn pass(&mut self, batch: &Batch, lines: &[ContainerLine]) {
        let mut mark = self.of(&batch.source);
        for line in lines.iter().filter(|line| !is_gap(line)) {
            mark = Some(Mark::after(mark, line.at_nanos));
        }
        if let Some(mark) = mark {
            self.0.insert(end_of(&batch.source).to_owned(), (Place::clone(&batch.place), mark));
        }
        if batch.over {
            self.0.remove(end_of(&batch.source));
        }
    }

    /// The replicas that are none of `living`.
    pub fn gone<'a>(&self, living: impl Iterator<Item = &'a str>) -> Vec<(Arc<str>, Arc<Place>)> {
        let living: Vec<&str> = living.map(end_of).collect();
        let gone = self.0.iter().filter(|(id, _)| !living.contains(&id.as_str()));
        gone.map(|(id, (place, _))| (Arc::from(id.as_str()), Arc::new(place.clone()))).collect()
    }

    /// Of its text; what is not understood is left out.
    pub fn parse(text: &str) -> Self {
        Self(text.split('~').filter_map(parse_one).collect())
    }
}

fn parse_one(text: &str) -> Option<(String, (Place, Mark))> {
    let mut parts = text.rsplitn(5, '.');
    let (count, at) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (id, replica) = (parts.next()?, parts.next()?.parse().ok()?);
    let service = ServiceName::parse(parts.next()?).ok()?;
    Some((end_of(id).to_owned(), (Place { service, replica }, Mark { at_nanos: at, count })))
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (id, (place, mark))) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "~" };
            let Mark { at_nanos, count } = mark;
            write!(f, "{between}{}.{}.{id}.{at_nanos}.{count}", place.service, place.replica)?;
        }
        Ok(())
    }
}

fn end_of(id: &str) -> &str {
    let from = id.len().saturating_sub(ENOUGH);
    id.get(from..).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::engine::LogStream;

    fn batch(id: &str, times: &[i64], over: bool) -> Batch {
        let line = |at: &i64| ContainerLine { at_nanos: *at, stream: LogStream::Stdout, text: Bytes::new() };
        let place = Place { service: ServiceName::parse("api.v-2").unwrap(), replica: 1 };
        Batch { place: Arc::new(place), source: id.into(), lines: times.iter().map(line).collect(), over }
    }

    #[test]
    fn it_goes_on_over_lines_and_survives_being_text() {
        let mut position = Position::default();
        for given in [batch("0123456789abcdef-one", &[5, 7, 7, 6], false), batch("two", &[9], false)] {
            position.pass(&given, &given.lines);
        }
        assert_eq!(position.of("0123456789abcdef-two"), None, "the end of the id counts");
        assert_eq!(position.of("0123456789abcdef-one"), Some(Mark { at_nanos: 7, count: 2 }));
        let again = Position::parse(&position.to_string());
        assert_eq!(again, position);
        let gone = again.gone(["0123456789abcdef-one"].into_iter());
        assert_eq!(gone.len(), 1);
        assert_eq!((&*gone[0].0, gone[0].1.replica), ("two", 1));
        let over = batch("two", &[], true);
        position.pass(&over, &over.lines);
        assert_eq!(position.of("two"), None, "what is over has no place to go on from");
        for bad in ["", "~", "1763724000123456789", "api.1.x", "api.one.x.2.3", "a b.1.x.2.3"] {
            assert!(Position::parse(bad).is_empty(), "{bad}");
        }
    }
}

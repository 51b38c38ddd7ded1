//! The stream that keeps pages live: it names what changed, and the page fetches its parts again with the reader's own
//! rights.
//!
//! `/events?topics=deployments,update:iris-on-local/3`: a topic is a word, or a word with the one object it is about.
//! The event carries the topic's word as its name and nothing else. What the reader may not see sends nothing. Of a
//! burst the first change goes out at once, the rest together, [`REST`] later.

use std::collections::HashSet;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, web};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use super::deployment::id_of;
use super::project::key_of;
use super::visit::{Answer, Visit};
use crate::app::overview::{self, Heard};
use crate::app::{deployment, infrastructure, project};
use crate::bus::Topic;
use crate::domain::access::Caller;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey};
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::live::{self, Form, Sink};
use crate::http::routes::Routes;

/// How long a stream rests after it has said something.
const REST: Duration = Duration::from_millis(150);
/// How many topics one page may name.
const MOST: usize = 16;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/events", events);
}

#[derive(Debug, Deserialize)]
struct Asked {
    topics: String,
}

/// What a page wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Deployments,
    Deployment(DeploymentId),
    /// Any update of any deployment.
    Updates,
    /// Any update of one deployment.
    UpdatesOf(DeploymentId),
    Update(DeploymentId, u32),
    Projects,
    Project(ProjectKey),
    Infrastructures,
    Infrastructure(InfrastructureId),
    Stages,
    /// Streams, pipelines, contexts.
    Resources,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self> {
        let (word, of) = match text.split_once(':') {
            Some((word, of)) => (word, Some(of)),
            None => (text, None),
        };
        Ok(match (word, of) {
            ("deployments", None) => Self::Deployments,
            ("deployment", Some(id)) => Self::Deployment(id_of(id)?),
            ("updates", None) => Self::Updates,
            ("updates", Some(id)) => Self::UpdatesOf(id_of(id)?),
            ("update", Some(of)) => {
                let (id, number) = of.split_once('/').ok_or_else(|| unknown(text))?;
                Self::Update(id_of(id)?, number.parse().map_err(|_| unknown(text))?)
            }
            ("projects", None) => Self::Projects,
            ("project", Some(key)) => Self::Project(key_of(key)?),
            ("infrastructures", None) => Self::Infrastructures,
            ("infrastructure", Some(id)) => Self::Infrastructure(
                InfrastructureId::parse(id).map_err(|_| Error::not_found("infrastructure", id))?,
            ),
            ("stages", None) => Self::Stages,
            ("resources", None) => Self::Resources,
            _ => return Err(unknown(text)),
        })
    }

    /// The event's name.
    fn word(&self) -> &'static str {
        match self {
            Self::Deployments => "deployments",
            Self::Deployment(_) => "deployment",
            Self::Updates | Self::UpdatesOf(_) => "updates",
            Self::Update(..) => "update",
            Self::Projects => "projects",
            Self::Project(_) => "project",
            Self::Infrastructures => "infrastructures",
            Self::Infrastructure(_) => "infrastructure",
            Self::Stages => "stages",
            Self::Resources => "resources",
        }
    }

    fn hears(&self, topic: &Topic) -> bool {
        match (self, topic) {
            (Self::Deployments, Topic::Deployment(_))
            | (Self::Updates, Topic::Update(..))
            | (Self::Projects, Topic::Project(_))
            | (Self::Infrastructures, Topic::Infrastructure(_))
            | (Self::Resources, Topic::Resource(_))
            | (Self::Stages, Topic::Stages) => true,
            (Self::Deployment(id), Topic::Deployment(of)) => id == of,
            (Self::UpdatesOf(id), Topic::Update(of, _)) => id == of,
            (Self::Update(id, number), Topic::Update(of, at)) => id == of && number == at,
            (Self::Project(key), Topic::Project(of)) => key == of,
            (Self::Infrastructure(id), Topic::Infrastructure(of)) => id == of,
            _ => false,
        }
    }

    /// Whether it speaks of many objects, some of which the reader may not see.
    fn is_broad(&self) -> bool {
        let lists =
            [Self::Deployments, Self::Updates, Self::Projects, Self::Infrastructures, Self::Resources];
        lists.contains(self)
    }
}

fn unknown(topic: &str) -> Error {
    Error::field("topics", format!("{topic:?} is no topic")).hint("Reload the page.")
}

async fn events(visit: Visit, request: HttpRequest, state: Data<State>, asked: web::Query<Asked>) -> Answer {
    let wanted: Vec<Wanted> = asked.topics.split(',').take(MOST).map(Wanted::parse).collect::<Result<_>>()?;
    // Heard from here on, so that nothing falls between the page and its stream for longer than the page took.
    let topics = visit.app.store.bus().subscribe();
    may_hear(&state, &visit.caller, &wanted).await?;
    let listener = Listener { state: state.clone(), caller: visit.caller.clone(), wanted: wanted.clone() };
    let produce = move |sink: Sink| listener.run(topics, sink);
    let checked = state.clone();
    let allowed = move |caller: Caller| {
        let (state, wanted) = (checked.clone(), wanted.clone());
        async move { may_hear(&state, &caller, &wanted).await }
    };
    Ok(live::respond(&request, state, Form::Events, produce, allowed))
}

/// Whether the caller may see every single object that is named. Lists are looked at when they change.
async fn may_hear(state: &State, caller: &Caller, wanted: &[Wanted]) -> Result<()> {
    let app = &state.app;
    let mut seen: HashSet<&str> = HashSet::new();
    for each in wanted {
        match each {
            Wanted::Deployment(id) | Wanted::UpdatesOf(id) | Wanted::Update(id, _)
                if seen.insert(id.as_str()) =>
            {
                deployment::get(app, caller, id.clone()).await?;
            }
            Wanted::Project(key) => {
                project::get(app, caller, key.clone()).await?;
            }
            Wanted::Infrastructure(id) => {
                infrastructure::get(app, caller, id.clone()).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

struct Listener {
    state: Data<State>,
    caller: Caller,
    wanted: Vec<Wanted>,
}

/// What was heard since the last event.
#[derive(Default)]
struct Batch {
    words: Vec<&'static str>,
    heard: Heard,
    /// Words that count only when something of `heard` may be seen.
    broad: Vec<&'static str>,
}

impl Listener {
    async fn run(self, mut topics: Receiver<Topic>, sink: Sink) {
        // What changed between the page and its stream is fetched once, whatever it was.
        let mut begun = Batch::default();
        self.note_all(&mut begun);
        if !self.send(begun, &sink).await {
            return;
        }
        let mut rested = Instant::now();
        loop {
            let mut batch = Batch::default();
            match topics.recv().await {
                Ok(topic) => self.note(&mut batch, &topic),
                Err(RecvError::Lagged(_)) => self.note_all(&mut batch),
                Err(RecvError::Closed) => return,
            }
            if batch.is_empty() {
                continue;
            }
            tokio::time::sleep_until(rested).await;
            if !self.drain(&mut topics, &mut batch) || !self.send(batch, &sink).await {
                return;
            }
            rested = Instant::now() + REST;
        }
    }

    /// Takes what else is waiting; `false` when the bus is closed.
    fn drain(&self, topics: &mut Receiver<Topic>, batch: &mut Batch) -> bool {
        loop {
            match topics.try_recv() {
                Ok(topic) => self.note(batch, &topic),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Lagged(_)) => self.note_all(batch),
                Err(TryRecvError::Closed) => return false,
            }
        }
    }

    fn note(&self, batch: &mut Batch, topic: &Topic) {
        for wanted in self.wanted.iter().filter(|wanted| wanted.hears(topic)) {
            if !wanted.is_broad() || self.caller.subject.is_admin {
                batch.add(wanted.word());
                continue;
            }
            if !batch.broad.contains(&wanted.word()) {
                batch.broad.push(wanted.word());
            }
            batch.heard.note(topic);
        }
    }

    /// After something was missed everything may have changed.
    fn note_all(&self, batch: &mut Batch) {
        for wanted in &self.wanted {
            batch.add(wanted.word());
        }
    }

    async fn send(&self, mut batch: Batch, sink: &Sink) -> bool {
        if !batch.broad.is_empty() {
            match overview::may_see_any(&self.state.app, &self.caller, std::mem::take(&mut batch.heard)).await
            {
                Ok(true) => std::mem::take(&mut batch.broad).into_iter().for_each(|word| batch.add(word)),
                Ok(false) => {}
                Err(_) => return false,
            }
        }
        if batch.words.is_empty() {
            return true;
        }
        let text: String = batch.words.iter().map(|word| live::event(word, None, "1")).collect();
        sink.send(text).await
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.broad.is_empty()
    }

    fn add(&mut self, word: &'static str) {
        if !self.words.contains(&word) {
            self.words.push(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_hears_its_own_object_alone() {
        let iris = DeploymentId::parse("iris").unwrap();
        let churn = DeploymentId::parse("churn").unwrap();
        let one = Wanted::parse("update:iris/3").unwrap();
        assert!(one.hears(&Topic::Update(iris.clone(), 3)));
        assert!(!one.hears(&Topic::Update(iris.clone(), 4)) && !one.hears(&Topic::Update(churn.clone(), 3)));
        assert!(Wanted::parse("updates:iris").unwrap().hears(&Topic::Update(iris, 9)));
        assert!(Wanted::parse("deployments").unwrap().hears(&Topic::Deployment(churn)));
        for bad in ["", "everything", "update:iris", "deployment", "project:a b"] {
            assert!(Wanted::parse(bad).is_err(), "{bad}");
        }
    }
}

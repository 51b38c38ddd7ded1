//! One execution: what it runs, how it goes, where it is reached; stopping, removing and deleting it. Its output and its
//! updates stand on the pages of the deployment that it is.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;

use super::deployment::actions::{ConfirmPage, refused};
use super::deployment::{Frame, engine_word, may, open, page, page_below};
use super::executions::state;
use super::fields::Fields;
use super::page::{Also, Confirm, Note, Page, Query, State, Tone};
use super::pipelines::uuid_of;
use super::update::UpdateRow;
use super::visit::{Answer, Visit};
use crate::app::execution::{self, Execution, ExposedPort};
use crate::app::{context, deployment, update};
use crate::domain::Result;
use crate::domain::clock::Timestamp;
use crate::domain::context::Context;
use crate::domain::health::Message;
use crate::domain::infrastructure::Infrastructure;
use crate::domain::page::PageRequest;
use crate::domain::workload::Protocol;
use crate::http::routes::Routes;
use crate::store::observation::EngineNote;

/// How many updates the page lists.
const LAST_UPDATES: u32 = 5;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/executions/{uuid}", show);
    routes.get("/executions/{uuid}/stop", ask_stop);
    routes.post("/executions/{uuid}/stop", stop);
    routes.get("/executions/{uuid}/remove", ask_remove);
    routes.post("/executions/{uuid}/remove", remove);
}

#[derive(Template)]
#[template(path = "execution/show.html", blocks = ["pills", "buttons", "live"])]
struct Show {
    page: Page,
    here: Query,
    frame: Frame,
    of: Execution,
    context: Context,
    infrastructure: Infrastructure,
    notes: Vec<Note>,
    /// What is queued or runs, with where it stands.
    open: Option<(&'static str, u32, State, String)>,
    ports: Vec<PortView>,
    environment: BTreeMap<String, String>,
    updates: Vec<UpdateRow>,
    update_count: u32,
    events: Vec<EngineNote>,
    may: String,
}

/// A port that is reached from outside.
struct PortView {
    /// `8888`, `53/udp`
    specified: String,
    /// `127.0.0.1:32768`
    place: String,
    /// Where an Ingress serves it.
    href: Option<String>,
}

impl From<ExposedPort> for PortView {
    fn from(port: ExposedPort) -> Self {
        let udp = if port.protocol == Protocol::Udp { "/udp" } else { "" };
        let host = if port.host.contains(':') { format!("[{}]", port.host) } else { port.host };
        let path = port.path.as_deref().unwrap_or_default();
        let scheme = if port.exposed == 443 { "https" } else { "http" };
        Self {
            specified: format!("{}{udp}", port.specified),
            place: format!("{host}:{}{path}", port.exposed),
            href: port.path.is_some().then(|| format!("{scheme}://{host}:{}{path}", port.exposed)),
        }
    }
}

/// The parts that change while one looks: pills, buttons and the rest, in one answer.
#[derive(Template)]
#[template(source = "{{ self.0.as_pills() }}{{ self.0.as_buttons() }}{{ self.0.as_live() }}", ext = "txt")]
struct Parts<'a>(&'a Show);

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let of = execution::get(&visit.app, &visit.caller, None, uuid_of("execution", &path)?).await?;
    let shown = Show::load(&visit, of).await?;
    if visit.wants("live") {
        return visit.show_part(&Parts(&shown));
    }
    visit.show(&shown)
}

/// Whether a message of a deployment says more of an execution than its state does: however it ends, that is its result.
fn tells(message: &Message) -> bool {
    const STATES: [&str; 4] = ["NEVER_UPDATED", "STOPPED", "NOTHING_RUNS", "SETTINGS_CHANGED"];
    !STATES.contains(&message.code.as_str())
        && !["REPLICA_", "TASK_"].iter().any(|kind| message.code.starts_with(kind))
}

impl Show {
    async fn load(visit: &Visit, of: Execution) -> Result<Self> {
        let (app, caller, id) = (&visit.app, &visit.caller, of.deployment.id.clone());
        let detail = deployment::detail(app, caller, id.clone()).await?;
        let context = context::get(app, caller, of.of.context).await?.into_inner();
        let environment = execution::environment(app, caller, of.uuid()).await?;
        let updates = update::list(app, caller, id.clone(), PageRequest::first(LAST_UPDATES)).await?.items;
        let hosts = visit.state().settings.renga.hosts(visit.state().settings.base_url.host_str());
        let topics = format!("/events?topics=deployment:{id},updates:{id}");
        Ok(Self {
            page: page(visit, &of.deployment).live(&topics),
            here: visit.here(),
            frame: Frame::of_run(visit, &detail.deployment, state(&of)),
            notes: detail.summary.state.messages.iter().filter(|one| tells(one)).map(Note::from).collect(),
            open: updates.iter().rev().find(|update| !update.is_ended()).map(open),
            ports: of.ports(hosts).into_iter().map(PortView::from).collect(),
            environment,
            updates: updates.iter().map(|update| UpdateRow::new(update, visit.now)).collect(),
            update_count: of.deployment.last_update,
            events: detail.events,
            may: may(&detail.deployment, visit),
            infrastructure: detail.infrastructure,
            context,
            of,
        })
    }

    fn engine(&self) -> &'static str {
        engine_word(&self.infrastructure)
    }

    fn command(&self) -> Option<&str> {
        self.context.spec.specification.command()
    }

    /// Whether there is something that can be stopped.
    fn stoppable(&self) -> bool {
        !self.of.is_removed() && self.of.exit().is_none()
    }

    /// Whether it used up its memory.
    fn killed(&self) -> bool {
        self.of.exit().is_some_and(|exit| exit.out_of_memory)
    }

    /// Whether governance did not let it start, so that somebody has to once it may.
    fn waits(&self) -> bool {
        self.of.update.is_none() && !self.of.is_removed()
    }

    fn started(&self) -> Option<Timestamp> {
        self.of.slot.as_ref().and_then(|slot| slot.started_at)
    }

    fn ended(&self) -> Option<Timestamp> {
        self.of.exit().and_then(|exit| exit.at)
    }

    fn exit_code(&self) -> Option<i64> {
        self.of.exit().and_then(|exit| exit.code)
    }
}

/// An execution that the visitor may act on.
async fn held(visit: &Visit, path: &str) -> Result<Execution> {
    let of = execution::get(&visit.app, &visit.caller, None, uuid_of("execution", path)?).await?;
    execution::may_act(&visit.app, &visit.caller, of.uuid()).await?;
    Ok(of)
}

fn confirm(visit: &Visit, of: &Execution, action: &str, verb: &str, consequences: &[&str]) -> ConfirmPage {
    let here = format!("/executions/{}", of.uuid());
    let confirm = Confirm {
        action: visit.url(&format!("{here}/{action}")),
        verb: format!("{verb} execution"),
        name: of.of.name.to_string(),
        consequences: consequences.iter().map(|line| (*line).to_owned()).collect(),
        also: None,
        back: visit.url(&here),
        typed: None,
    };
    let page = page_below(visit, &of.deployment, format!("{verb} {}", of.of.name));
    ConfirmPage { page, confirm, trouble: None }
}

fn confirm_stop(visit: &Visit, of: &Execution) -> ConfirmPage {
    let consequences = [
        "What runs is told to end, and is killed where it does not; it is not started again.",
        "Its output stays to be read, and so do its container and its volumes, until it is removed.",
    ];
    confirm(visit, of, "stop", "Stop", &consequences)
}

async fn ask_stop(visit: Visit, path: web::Path<String>) -> Answer {
    let of = held(&visit, &path).await?;
    visit.show(&confirm_stop(&visit, &of))
}

async fn stop(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let of = held(&visit, &path).await?;
    let mut page = confirm_stop(&visit, &of);
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match execution::stop(&visit.app, &visit.caller, of.uuid()).await {
        Ok(_) => visit.go(
            &format!("/executions/{}", of.uuid()),
            Tone::Ok,
            "It is told to stop. Its output stays to be read.",
        ),
        Err(error) => refused(&visit, page, error),
    }
}

/// Ticked: the execution itself goes, too.
const FORGET: &str = "forget";

fn confirm_remove(visit: &Visit, of: &Execution, fields: &Fields) -> ConfirmPage {
    if of.is_removed() {
        let consequences =
            ["It leaves the list for good, with its updates. The journal keeps that it was, and who ran it."];
        return confirm(visit, of, "remove", "Delete", &consequences);
    }
    let consequences = [
        "It is stopped where it still runs. Its container or Job, its output, its ports and its volumes go.",
        "It stays in the list as removed, unless you delete it for good.",
    ];
    let mut page = confirm(visit, of, "remove", "Remove", &consequences);
    page.confirm.also = Some(Also {
        field: FORGET,
        label: "Delete it for good: it leaves the list, with its updates".to_owned(),
        checked: fields.is_checked(FORGET),
    });
    page
}

async fn ask_remove(visit: Visit, path: web::Path<String>) -> Answer {
    let of = held(&visit, &path).await?;
    visit.show(&confirm_remove(&visit, &of, &Fields::default()))
}

async fn remove(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let of = held(&visit, &path).await?;
    let mut page = confirm_remove(&visit, &of, &fields);
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    if of.is_removed() || fields.is_checked(FORGET) {
        return match execution::delete(&visit.app, &visit.caller, of.uuid()).await {
            Ok(_) => {
                visit.go("/executions", Tone::Ok, &format!("{} goes once nothing of it runs.", of.of.name))
            }
            Err(error) => refused(&visit, page, error),
        };
    }
    match execution::remove(&visit.app, &visit.caller, None, of.uuid()).await {
        Ok(_) => visit.go(&format!("/executions/{}", of.uuid()), Tone::Ok, "It is being removed."),
        Err(error) => refused(&visit, page, error),
    }
}
